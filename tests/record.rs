//! The script that records, as text and at work on folders that stand in for tracefs.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use iovasim::import::record_script::RecordScript;
use iovasim::import::{Options, import};
use tempfile::TempDir;

/// What the kernel would give to whoever reads the pipe.
const PIPE: &str = "\
  t-7 [000] ..... 1.000000: alloc_iova_fast: (alloc_iova_fast+0x4/0x2b0) iovad=0xa size=1 limit=0xfffff flush=1
  t-7 [000] ..... 1.000001: alloc_iova_fast_ret: (f+0x1/0x2 <- alloc_iova_fast) pfn=0x0
";

/// `mkdir` and `rmdir` of a kernel: a new instance is full of files, and goes with them.
const MKDIR: &str = "#!/bin/sh
/bin/mkdir \"$1\" || exit 1
for event in alloc_iova_fast alloc_iova_fast_ret free_iova_fast; do
    /bin/mkdir -p \"$1/events/iovasim/$event\"
done
/bin/mkdir -p \"$1/events/iommu/unmap\"
echo 0 > \"$1/events/iommu/unmap/enable\"
cp \"$TRACEFS/pipe\" \"$1/trace_pipe\"
cp \"$TRACEFS/pipe\" \"$1/trace\"
";
const RMDIR: &str = "#!/bin/sh
cat \"$1/tracing_on\" \"$1/events/iovasim/enable\" >> \"$TRACEFS/at_the_end\"
cat \"$1/events/iommu/unmap/enable\" >> \"$TRACEFS/unmaps\"
rm -r \"$1\"
";

/// Folders that stand in for tracefs, and programs that stand in for its ways.
struct Tracefs {
    folder: TempDir,
}

impl Tracefs {
    fn new() -> Tracefs {
        let folder = TempDir::new().expect("a folder");
        let tracefs = Tracefs { folder };
        fs::create_dir(tracefs.at("instances")).expect("a folder");
        fs::create_dir(tracefs.at("bin")).expect("a folder");
        tracefs.write("dynamic_events", "");
        tracefs.write("pipe", PIPE);
        tracefs.write(
            "kprobe_profile",
            "  free_iova_fast   12   3\n  alloc_iova_fast   5   0\n  others   1   9\n",
        );
        for (name, text) in [("mkdir", MKDIR), ("rmdir", RMDIR)] {
            let path = format!("bin/{name}");
            tracefs.write(&path, text);
            let made = Command::new("chmod")
                .arg("+x")
                .arg(tracefs.at(&path))
                .status();
            assert!(made.expect("chmod").success());
        }
        tracefs
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new();
        let file = file
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.at(name));
        file.expect("a file")
            .write_all(text.as_bytes())
            .expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    fn command(&self, recording: &RecordScript) -> Command {
        self.write("record.sh", &recording.to_string());
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .arg("record.sh")
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.at("bin").display()))
            .env("TRACEFS", self.folder.path())
            .env("IOMMU_GROUPS", self.at("groups"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, recording: &RecordScript) -> Output {
        self.command(recording).output().expect("a shell")
    }

    /// Nothing is left of a recording but what it says.
    fn assert_undone(&self, instances: usize) {
        assert_eq!(
            self.at("instances").read_dir().expect("a folder").count(),
            0
        );
        let ends = self.read("at_the_end");
        assert_eq!(
            ends.lines().filter(|line| *line == "0").count(),
            2 * instances,
            "{ends}"
        );
        let probes = self.read("dynamic_events");
        let named = |line: &str| {
            let name = line.split([':', ' ']).nth(1).expect("a name");
            name.to_owned()
        };
        let (removed, made): (Vec<_>, Vec<_>) =
            probes.lines().partition(|line| line.starts_with("-:"));
        let mut removed: Vec<_> = removed.into_iter().map(named).collect();
        let mut made: Vec<_> = made.into_iter().map(named).collect();
        removed.sort();
        made.sort();
        assert_eq!(made, removed);
        assert_eq!(made.len(), 11);
    }
}

fn until_failure() -> RecordScript {
    RecordScript {
        until_failure: true,
        ..RecordScript::default()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_failure_ends_the_recording() {
    let tracefs = Tracefs::new();
    let output = tracefs.run(&until_failure());
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("an allocation failed"));
    tracefs.assert_undone(2);

    let text = tracefs.read("iova.trace.txt");
    let mut imported = import(
        "iova.trace.txt",
        || Ok(text.as_bytes()),
        &Options::default(),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.by_ref().count(), 1);
    let notes = &imported.report().notes;
    assert!(
        notes.contains(&"free_iova_fast missed 3 hits".to_owned()),
        "{notes:?}"
    );
    assert!(imported.header().kernel.is_some());
    assert!(!tracefs.at("iova.trace.txt.part").exists());
}

#[test]
fn a_time_ends_the_recording() {
    let tracefs = Tracefs::new();
    let recording = RecordScript {
        seconds: Some(1),
        output: "it's here.txt".to_owned(),
        buffer_kib: 77,
        ..RecordScript::default()
    };
    let output = tracefs.run(&recording);
    assert!(output.status.success(), "{}", said(&output));
    tracefs.assert_undone(1);
    assert!(
        tracefs
            .read("it's here.txt")
            .contains(" alloc_iova_fast_ret: ")
    );
}

/// The type of a group's domain: `DMA` has no flush queue, `DMA-FQ` has one.
#[test]
fn unmappings_are_recorded_where_there_is_no_flush_queue() {
    let recording = RecordScript {
        seconds: Some(1),
        ..RecordScript::default()
    };
    for (domain, enabled) in [("DMA\n", "1\n"), ("DMA-FQ\n", "0\n"), ("identity\n", "0\n")] {
        let tracefs = Tracefs::new();
        for (group, text) in [("3", "identity\n"), ("7", domain)] {
            fs::create_dir_all(tracefs.at(&format!("groups/{group}"))).expect("a folder");
            tracefs.write(&format!("groups/{group}/type"), text);
        }
        let output = tracefs.run(&recording);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(tracefs.read("unmaps"), enabled, "{domain}");
        tracefs.assert_undone(1);
    }
}

#[test]
fn an_interrupt_ends_the_recording_and_keeps_it() {
    let tracefs = Tracefs::new();
    let mut child = tracefs
        .command(&RecordScript::default())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    // The recording has begun when its file has lines.
    while !tracefs
        .read("iova.trace.txt.part")
        .contains("alloc_iova_fast_ret")
    {
        assert_eq!(child.try_wait().expect("a child"), None);
    }
    let kill = Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status();
    assert!(kill.expect("kill").success());
    let output = child.wait_with_output().expect("a child");
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    tracefs.assert_undone(1);
    assert!(
        tracefs
            .read("iova.trace.txt")
            .contains(" alloc_iova_fast_ret: ")
    );
}

#[test]
fn a_kernel_that_refuses_leaves_nothing_behind() {
    let tracefs = Tracefs::new();
    fs::create_dir_all(tracefs.at("instances/iovasim")).expect("a folder");
    let output = tracefs.run(&RecordScript::default());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("does another recording run?"),
        "{}",
        said(&output)
    );
    assert!(tracefs.at("instances/iovasim").exists());
    let probes = tracefs.read("dynamic_events");
    assert_eq!(
        probes.lines().filter(|line| line.starts_with("-:")).count(),
        11
    );

    let nowhere = tracefs
        .command(&RecordScript::default())
        .env("TRACEFS", "/nonexistent")
        .output()
        .expect("a shell");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(said(&nowhere).contains("no tracefs"));

    tracefs.write("iova.trace.txt", "precious");
    let output = tracefs.run(&RecordScript::default());
    assert!(said(&output).contains("iova.trace.txt is there already"));
    assert_eq!(tracefs.read("iova.trace.txt"), "precious");
}

#[test]
fn shells_understand_the_script() {
    let tracefs = Tracefs::new();
    tracefs.write("record.sh", &until_failure().to_string());
    for shell in ["sh", "dash", "bash", "busybox"] {
        let mut command = Command::new(shell);
        if shell == "busybox" {
            command.arg("sh");
        }
        // A shell that is not installed says nothing.
        if let Ok(output) = command.arg("-n").arg(tracefs.at("record.sh")).output() {
            assert!(output.status.success(), "{shell}: {}", said(&output));
        }
    }
}

#[test]
fn settings_are_quoted() {
    let recording = RecordScript {
        output: "-o'$(reboot)'".to_owned(),
        seconds: Some(7),
        until_failure: true,
        buffer_kib: 1,
    };
    let text = recording.to_string();
    assert!(text.starts_with("#!/bin/sh\n"));
    assert!(text.contains("output='./-o'\\''$(reboot)'\\'''\nseconds=7\nuntil_failure=1\n"));
    assert!(Path::new("/bin/sh").exists());
}
