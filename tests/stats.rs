//! What is in a trace, as a page.

use std::io::Cursor;

use iovasim::trace::read::Reader;
use iovasim::trace::stats::Stats;

fn stats(trace: &'static str) -> Stats {
    let reader = Reader::new("trace", Cursor::new(trace)).expect("a trace");
    let mut stats = Stats::new(reader.header());
    for event in reader {
        stats.observe(&event.expect("an event").1);
    }
    stats
}

fn page(trace: &'static str) -> String {
    stats(trace).to_string()
}

#[test]
fn a_trace_without_events_has_a_page() {
    let page = page("{\"iovasim\":\"trace\",\"version\":1}\n");
    assert!(
        page.starts_with("0 events in 0 ns; 1 CPUs, 0 domains"),
        "{page}"
    );
    assert!(page.ends_with("\nall is freed\n"), "{page}");
}

#[test]
fn requests_are_told_by_all_that_they_say() {
    let page = page(
        r#"{"iovasim":"trace","version":1,"cpus":2,"name":"small","flush_queue":"per-cpu"}
{"op":"alloc","id":1,"pages":3,"limit":1048575,"got":7}
{"op":"alloc","t":1000,"id":2,"pages":4,"limit":1048575,"got":null}
{"op":"alloc","t":1500,"cpu":1,"id":3,"pages":100,"limit":4294967295,"path":"direct","dom":5}
{"op":"map","t":2000,"id":4,"bytes":4097,"mask":4294967295,"dev":"nvme","got":9}
{"op":"map","t":2000,"id":5,"bytes":1,"mask":4294967295,"dev":"nvme","got":9}
{"op":"reserve","t":2000,"lo":1,"hi":2}
{"op":"free","t":3000,"cpu":1,"id":1}
{"op":"free","t":3000,"id":2}
{"op":"unmap","t":2000000000,"id":5}
"#,
    );
    assert_eq!(
        page,
        r"trace: small
9 events in 2 s; 2 CPUs, 2 domains with requests, granule 4096, start_pfn 0x1, a flush queue per CPU
  alloc 3, free 2, map 2, reserve 1, unmap 1
5 requests: 2 fast, 1 direct, 2 map
  4 answers on record, 1 of them failures (25.0 %)

     pages a request     requests                     pages
                   1            1   20.0 %                1
                   2            1   20.0 %                2
               3 - 4            2   40.0 %                7
            65 - 128            1   20.0 %              100

 highest pfn allowed     requests
             0xfffff            4
          0xffffffff            1

           lived for       ranges
        1 us - 10 us            1 ##############################
          1 s - 10 s            1 ##############################
         never freed            2

                 CPU     requests        frees
                   0            4            1
                   1            1            1

              domain     requests        frees
                   0            4            2
                   5            1            0
50.0 % of the frees on another CPU than the request

live: at most 4 ranges, at most 106 pages; by slices of 131.072 ms, at the end of each
                from       ranges        pages      at most
                0 ns            3          103          106 ##############################
          131.072 ms            3          103          103 #############################
          262.144 ms            3          103          103 #############################
          393.216 ms            3          103          103 #############################
          524.288 ms            3          103          103 #############################
           655.36 ms            3          103          103 #############################
          786.432 ms            3          103          103 #############################
          917.504 ms            3          103          103 #############################
             1.048 s            3          103          103 #############################
             1.179 s            3          103          103 #############################
              1.31 s            3          103          103 #############################
             1.441 s            3          103          103 #############################
             1.572 s            3          103          103 #############################
             1.703 s            3          103          103 #############################
             1.835 s            3          103          103 #############################
             1.966 s            2          102          103 #############################

never freed, most pages first
              domain   pages each       ranges        pages  oldest from  device
                   5          100            1          100       1.5 us  -
                   0            2            1            2         2 us  nvme
"
    );
}

#[test]
fn long_tables_end_in_one_row() {
    use std::fmt::Write as _;
    let mut trace = String::from("{\"iovasim\":\"trace\",\"version\":1,\"cpus\":40}\n");
    for id in 0..13 {
        writeln!(
            trace,
            "{{\"op\":\"alloc\",\"cpu\":{id},\"dom\":{id},\"id\":{id},\"pages\":{},\"limit\":{id}}}",
            id + 1
        )
        .expect("text");
    }
    let reader = Reader::new("trace", Cursor::new(trace)).expect("a trace");
    let mut stats = Stats::new(reader.header());
    reader.for_each(|event| stats.observe(&event.expect("an event").1));
    let page = stats.to_string();
    let others: Vec<&str> = page
        .lines()
        .filter(|line| line.contains("3 others"))
        .collect();
    assert_eq!(others.len(), 4, "{page}");
    assert!(page.contains("answers are not on record"));
    // The smallest three of 1 to 13 pages.
    assert!(others[3].ends_with(" 6"), "{page}");
}

#[test]
fn json_has_every_row() {
    let events = (0..30).map(|id| {
        let (pages, limit) = (id + 1, id + 99);
        format!("{{\"op\":\"alloc\",\"id\":{id},\"pages\":{pages},\"limit\":{limit}}}\n")
    });
    let events = events.collect::<Vec<_>>().concat();
    let trace = format!("{{\"iovasim\":\"trace\",\"version\":1}}\n{events}");
    let stats = stats(trace.leak());
    let document: serde_json::Value = serde_json::from_str(&stats.json()).expect("a document");
    let rows = |name: &str| document[name].as_array().map(Vec::len);
    assert_eq!((rows("limits"), rows("never_freed")), (Some(30), Some(30)));
    assert_eq!(document["requests"]["fast"], 30);
    assert_eq!(document["sizes"][5]["pages_max"], 32);
    assert_eq!(document["live_max"]["pages"], 465);
    assert_eq!(document["never_freed"][0]["pages_each"], 30);
}
