#![no_main]

use imgcopy::fuzzing;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| fuzzing::archive(bytes));

// Half of the changes keep their wrong checksums.
fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| {
    let size = fuzzer_mutate(bytes, size, most);
    if seed % 2 == 0 {
        fuzzing::with_checksums(&mut bytes[..size]);
    }
    size
});
