//! Inflates the files that `build.rs` has compressed: those of the page, and `statsd.conf.example`.
//! Pure.

use miniz_oxide::inflate::decompress_slice_iter_to_slice;

/// The bytes of gzip before and after the compressed ones, as `build.rs` writes them. The last four
/// are the length of the file.
const HEAD: usize = 10;
pub(crate) const TAIL: usize = 8;

/// Returns the file that is compressed in `gzip`. It must be one of `build.rs`.
pub(crate) fn inflated(gzip: &[u8]) -> Vec<u8> {
    let (packed, tail) = gzip[HEAD..].split_at(gzip.len() - HEAD - TAIL);
    let length = tail.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    let mut file = vec![0; length as usize];
    let packed = std::iter::once(packed);
    let inflated = decompress_slice_iter_to_slice(&mut file, packed, false, true);
    file.truncate(inflated.unwrap_or(0)); // tests show that every file inflates
    file
}
