//! Parses `.github/sentinel.yml`. `sentinel_shared::review::policy` defines what it means.

use sentinel_shared::review::policy::{Policy, PolicyFile};
use sentinel_shared::{Error, Result};

/// The largest policy file that is read.
pub const LIMIT_BYTES: usize = 64 * 1024;

/// Parses a policy file. An empty file has the defaults.
///
/// # Errors
/// [`Error::PolicyInvalid`] with the key and its place.
pub fn parse(yaml: &str) -> Result<Policy> {
    if yaml.len() > LIMIT_BYTES {
        return Err(Error::PolicyInvalid(format!("it is larger than {LIMIT_BYTES} bytes")));
    }
    let file: Option<PolicyFile> =
        serde_yaml_ng::from_str(yaml).map_err(|error| Error::PolicyInvalid(error.to_string()))?;
    Policy::try_from(file.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_writes_yaml() {
        let policy = parse("review:\n  language: de\n  max_comments: 5\n  thresholds: {bug: 0.8}\n").unwrap();
        assert_eq!(policy.max_comments, 5);
        assert!(parse("").unwrap().enabled);
        assert!(parse("review: {max_coments: 1}").unwrap_err().to_string().contains("max_coments"));
    }
}
