//! Runs the constructors of a WebAssembly module, once and before anything else. Only compiled for that target.

/// Runs the constructors of statics (tract registers its operators in them). Call it once, at the start.
///
/// A module where nothing calls them gets them from the linker at the top of every exported function, to run
/// again at every call from JavaScript: seen as a third of a webhook's CPU time. Source: `lld/wasm/Writer.cpp`,
/// "command" modules; <https://docs.rs/inventory/latest/inventory/#webassembly-and-constructors>.
#[expect(unsafe_code, reason = "the linker's function has no safe name")]
pub fn construct_statics() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: it takes and returns nothing, and runs on the only thread before any static is used.
    unsafe {
        __wasm_call_ctors();
    }
}
