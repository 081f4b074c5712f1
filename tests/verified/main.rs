//! How many instructions the verifier walks for each program, as one line of JSON. `cargo xtask
//! verified` runs it as root in a guest of each kernel. Nothing is attached.

use sensor_user::kernel::load::Kernel;

fn main() -> anyhow::Result<()> {
    let verified = Kernel::load()?.verified()?;
    println!("{}", serde_json::json!({ "verified": verified }));
    Ok(())
}
