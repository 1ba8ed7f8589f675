//! Generates the messages of `sentinel.review.v1` without a protoc binary.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=sentinel");
    let descriptors = protox::compile(["sentinel/review/v1/review.proto"], ["."])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
