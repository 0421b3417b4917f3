//! Things in the order in which they came, any of which can be taken by its age.

/// How many things a chunk holds at most: what is moved when one is taken out.
const CHUNK: usize = 256;

/// Things from the oldest to the newest.
///
/// Adding costs O(1); taking moves up to a chunk and counts over the chunks before it.
#[derive(Clone, Debug)]
pub(super) struct Ages<T> {
    /// In order, none of them empty.
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Ages<T> {
    pub(super) fn new() -> Ages<T> {
        Ages {
            chunks: Vec::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, thing: T) {
        self.len += 1;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(thing),
            _ => self.chunks.push(vec![thing]),
        }
    }

    /// Takes the one than which `older` are older; none where there are not so many.
    pub(super) fn take(&mut self, older: usize) -> Option<T> {
        let mut before = older;
        let index = self.chunks.iter().position(|chunk| {
            let found = before < chunk.len();
            before -= if found { 0 } else { chunk.len() };
            found
        })?;
        let thing = self.chunks[index].remove(before);
        self.len -= 1;
        if self.chunks[index].is_empty() {
            self.chunks.remove(index);
        }
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ages_are_a_list(moves in proptest::collection::vec(any::<Option<u16>>(), 0..3000)) {
            let (mut ages, mut list) = (Ages::new(), Vec::new());
            for (number, older) in moves.into_iter().enumerate() {
                match older {
                    None => {
                        ages.push(number);
                        list.push(number);
                    }
                    Some(older) => {
                        let older = usize::from(older) % (list.len() + 1);
                        let expected = (older < list.len()).then(|| list.remove(older));
                        prop_assert_eq!(ages.take(older), expected);
                    }
                }
                prop_assert_eq!(ages.len(), list.len());
            }
        }
    }
}
