//! Takes the place of what finds the callers of a function, in a release.
//!
//! A release has no tables for unwinding (`build.rs`), so the functions of libgcc would find no
//! caller. But with them comes all that prints callers: std's reader of debug information is 150 kB
//! of the binary, and libgcc another library to load. `_Unwind_Backtrace` reports that there is no
//! caller. The others are called only for an exception, which cannot happen: the server aborts on
//! a panic.

use std::ffi::{c_int, c_void};

/// The result of `_Unwind_Backtrace` after the last caller (`_URC_END_OF_STACK`).
const END_OF_STACK: c_int = 5;

// SAFETY: libgcc documents the signature, and that a result of 5 means the end of the stack.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: *mut c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Defines functions that cannot be reached.
macro_rules! unreached {
    ($($name:ident)*) => {
        $(
            // SAFETY: never returns, so no caller can take a wrong result from it.
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> ! {
                std::process::abort()
            }
        )*
    };
}

unreached! {
    _Unwind_GetDataRelBase _Unwind_GetIP _Unwind_GetIPInfo _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart _Unwind_GetTextRelBase _Unwind_Resume _Unwind_SetGR _Unwind_SetIP
}
