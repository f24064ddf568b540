//! The guest kernel is a freestanding static ELF at a fixed address: tells the linker so.
fn main() {
    let dir = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    for arg in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{dir}/kernel.ld,--build-id=none,-z,max-page-size=4096,-z,noexecstack");
    println!("cargo:rerun-if-changed=kernel.ld");
}
