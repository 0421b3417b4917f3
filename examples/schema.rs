//! Prints the JSON Schema of scenario files: what `scenarios/schema.json` holds.

fn main() {
    print!("{}", iovasim::scenario::schema());
}
