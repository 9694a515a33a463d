use std::io::Read as _;
use std::sync::{Arc, Mutex};

use super::*;
use crate::image::Descriptor;

/// The entries of a tar, by name.
fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(bytes);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    tar.entries().unwrap().map(read).collect()
}

fn to_file() -> TarWriter {
    TarWriter::new(Out::File(NamedTempFile::new().unwrap()))
}

fn ended(tar: TarWriter) -> Vec<u8> {
    std::fs::read(tar.end().unwrap().unwrap().path()).unwrap()
}

/// A pipe whose other end can be looked at.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn receipt(content: &[u8]) -> Receipt {
    Receipt {
        descriptor: Descriptor::of("".into(), content),
        diff_id: None,
    }
}

fn fails<T>(_: &mut Sink<'_>) -> Result<T> {
    Err(Error::new(ErrorKind::Corrupt, "bad"))
}

#[test]
fn files_and_pipes_get_the_same_bytes() {
    let long = format!("blobs/sha512/{}", "a".repeat(128));
    let pipe = Pipe::default();
    let mut to_pipe = TarWriter::new(Out::Stream(Box::new(pipe.clone())));
    let mut file = to_file();
    for tar in [&mut to_pipe, &mut file] {
        tar.add("a", b"").unwrap();
        tar.add(&long, &[7; 513]).unwrap();
        tar.add("b", &[8; 512]).unwrap();
    }
    assert!(to_pipe.end().unwrap().is_none());
    let bytes = ended(file);
    assert_eq!(*pipe.0.lock().unwrap(), bytes);
    let wanted = [
        ("a".into(), vec![]),
        (long, vec![7; 513]),
        ("b".into(), vec![8; 512]),
    ];
    assert_eq!(entries(&bytes), wanted);
}

#[test]
fn an_entry_that_fails_is_taken_back_from_a_file() {
    let mut tar = to_file();
    tar.add("first", b"1").unwrap();
    let half = |sink: &mut Sink<'_>| {
        sink(&[9; 4000])?;
        fails::<()>(sink)
    };
    tar.add_sized("bad", 8000, half).unwrap_err();
    let short = tar.add_sized("short", 8000, |sink| sink(b"x")).unwrap_err();
    assert_eq!(short.kind(), ErrorKind::Corrupt);
    let unnamed = |sink: &mut Sink<'_>| sink(&[9; 4000]).map(|()| receipt(b"x"));
    tar.add_open(unnamed, |_| None).unwrap();
    tar.add_open(fails, |_| None).unwrap_err();
    let second = |sink: &mut Sink<'_>| sink(b"22").map(|()| receipt(b"22"));
    tar.add_open(second, |_| Some("second".into())).unwrap();
    let wanted = [
        ("first".to_string(), b"1".to_vec()),
        ("second".into(), b"22".to_vec()),
    ];
    assert_eq!(entries(&ended(tar)), wanted);
}

#[test]
fn after_an_entry_that_fails_a_pipe_takes_nothing_more() {
    let mut tar = TarWriter::new(Out::Stream(Box::new(Pipe::default())));
    tar.add_sized("bad", 8000, fails::<()>).unwrap_err();
    let told = tar.add("next", b"1").unwrap_err().to_string();
    assert!(told.contains("a pipe takes nothing back"), "{told}");
    assert!(tar.end().is_err());
}
