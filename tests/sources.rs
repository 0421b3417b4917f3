//! What a reader of the sources may rely on: a kernel function is found by its name, and each
//! change of the table is evaluated in one place.

use std::fs;
use std::path::{Path, PathBuf};

use iova::kernel::changes::TABLE;

/// The functions of `iova.c` and `dma-iommu.c` that the models cover.
const KERNEL_FUNCTIONS: &[&str] = &[
    "init_iova_domain",
    "alloc_iova",
    "free_iova",
    "__free_iova",
    "alloc_iova_fast",
    "free_iova_fast",
    "find_iova",
    "private_find_iova",
    "remove_iova",
    "private_free_iova",
    "reserve_iova",
    "__is_range_overlap",
    "__adjust_overlap_range",
    "__insert_new_range",
    "__alloc_and_insert_iova_range",
    "iova_insert_rbtree",
    "iova_find_limit",
    "__get_cached_rbnode",
    "__cached_rbnode_insert_update",
    "__cached_rbnode_delete_update",
    "iova_domain_init_rcaches",
    "init_iova_rcaches",
    "iova_rcache_get",
    "__iova_rcache_get",
    "iova_rcache_insert",
    "__iova_rcache_insert",
    "iova_magazine_empty",
    "iova_magazine_full",
    "iova_magazine_pop",
    "iova_magazine_push",
    "iova_magazine_free_pfns",
    "iova_depot_pop",
    "iova_depot_push",
    "iova_depot_work_func",
    "iova_cpuhp_dead",
    "free_cpu_cached_iovas",
    "free_global_cached_iovas",
    "free_iova_rcaches",
    "iommu_dma_alloc_iova",
    "iommu_dma_free_iova",
    "iommu_dma_init_fq",
    "init_iova_flush_queue",
    "queue_iova",
    "fq_full",
    "fq_ring_add",
    "fq_ring_free",
    "fq_flush_iotlb",
    "iova_domain_flush",
    "fq_flush_timeout",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sources below a folder, each without its tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let code = text.split("#[cfg(test)]\nmod tests {").next();
                sources.push((path, code.unwrap_or_default().to_owned()));
            }
        }
    }
    sources
}

/// The first lines of the docstrings of functions.
fn first_lines(code: &str) -> Vec<&str> {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let is_doc = |line: &str| line.starts_with("///");
    let firsts = (0..lines.len()).filter(|&at| {
        is_doc(lines[at]) && (at == 0 || !is_doc(lines[at - 1])) && {
            let mut rest = lines[at..].iter();
            let item = rest.find(|line| !is_doc(line) && !line.starts_with("#["));
            item.is_some_and(|item| item.contains("fn "))
        }
    });
    firsts.map(|at| lines[at]).collect()
}

#[test]
fn every_kernel_function_is_found_by_its_name() {
    let sources = sources("crates/iova/src/kernel");
    let firsts: Vec<&str> = sources
        .iter()
        .flat_map(|(_, code)| first_lines(code))
        .collect();
    let table = fs::read_to_string(root().join("crates/iova/src/kernel/mod.rs"));
    let table = table.expect("the table of kernel functions");
    for name in KERNEL_FUNCTIONS {
        let named = format!("`{name}()`");
        let documented = firsts.iter().any(|line| line.contains(&named));
        assert!(documented, "no docstring of a function begins with {named}");
    }
    for name in table.split('`').filter_map(|word| word.strip_suffix("()")) {
        assert!(
            KERNEL_FUNCTIONS.contains(&name),
            "{name} is in the table alone"
        );
    }
}

#[test]
fn every_change_is_evaluated_in_one_place_of_the_models() {
    let sources = [sources("src"), sources("crates")].concat();
    for row in &TABLE {
        let evaluation = format!("has(Change::{:?})", row.change);
        let places = sources.iter().flat_map(|(path, code)| {
            let count = code.matches(&evaluation).count();
            std::iter::repeat_n(path.clone(), count)
        });
        let places: Vec<PathBuf> = places.collect();
        let in_models =
            |path: &PathBuf| path.starts_with(root().join("crates/iova/src/kernel"));
        assert!(
            places.len() == 1 && places.iter().all(in_models),
            "{evaluation}: expected once in the models, found in {places:?}"
        );
    }
}
