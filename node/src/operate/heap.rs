//! How glibc's allocator keeps memory. Elsewhere nothing is done: other allocators do not hold on to so much.

/// Gives all threads two heaps. Otherwise each thread that meets another in `malloc` gets one of its own, up to eight a core,
/// and each keeps the most that it ever held: under mixed load `sentinel db` grew to nearly four times its size within five
/// minutes, on two cores. Two are enough, since what allocates most (SQLite, the model's runtime) mostly works in memory that
/// it has.
pub fn limit() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    set(libc::M_ARENA_MAX, 2);
}

/// Takes blocks of a megabyte from the system, and gives them back to it when they are let go. They are bodies and answers in
/// a server without a model. A model runs slower so: it needs such blocks again and again.
pub fn give_large_blocks_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    set(libc::M_MMAP_THRESHOLD, 1 << 20);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library's function has no safe name")]
fn set(name: libc::c_int, value: libc::c_int) {
    // SAFETY: it sets a number of the allocator, under the allocator's own lock.
    unsafe { libc::mallopt(name, value) };
}
