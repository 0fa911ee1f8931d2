//! The lines of uid_map and gid_map (user_namespaces(7)).

/// Checks what comes with a request for a user namespace.
///
/// # Errors
/// One of them is empty, or a line is not three numbers.
pub(super) fn check(uids: &[String], gids: &[String]) -> Result<(), String> {
    for (name, lines) in [("user", uids), ("group", gids)] {
        if lines.is_empty() {
            return Err(format!("{name} ID mappings are empty"));
        }
        if let Some(line) = lines.iter().find(|line| !is_mapping(line)) {
            return Err(format!(
                "{name} ID mapping '{line}' is not three numbers: first id inside, first outside, how many"
            ));
        }
    }
    Ok(())
}

fn is_mapping(line: &str) -> bool {
    let mut numbers = line.split(' ').filter(|word| !word.is_empty());
    let three = [numbers.next(), numbers.next(), numbers.next()];
    let number = |word: Option<&str>| word.is_some_and(|word| word.parse::<u32>().is_ok());
    three.into_iter().all(number) && numbers.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_three_numbers() {
        let lines = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect::<Vec<_>>();
        let good = lines(&["0 100000 65536", "65536  0 1"]);
        assert_eq!(check(&good, &good), Ok(()));
        assert_eq!(check(&[], &good), Err("user ID mappings are empty".into()));
        assert_eq!(check(&good, &[]), Err("group ID mappings are empty".into()));
        for bad in ["", "0 1", "0 1 2 3", "0 -1 1", "0 0 4294967296", "0 0 1\n1 1 1", "a b c"] {
            let error = check(&good, &lines(&["0 0 1", bad])).err().unwrap_or_default();
            assert!(error.starts_with(&format!("group ID mapping '{bad}'")), "{error}");
        }
    }
}
