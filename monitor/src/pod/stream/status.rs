//! How a command ended, as Kubernetes' clients read it: `metav1.Status`.

use crate::pod::json::escaped;

/// The status of a command that ran.
pub fn ended(status: i32) -> String {
    if status == 0 {
        return r#"{"metadata":{},"status":"Success"}"#.into();
    }
    format!(
        r#"{{"metadata":{{}},"status":"Failure","message":"command terminated with non-zero exit code","reason":"NonZeroExitCode","details":{{"causes":[{{"reason":"ExitCode","message":"{status}"}}]}}}}"#
    )
}

/// The status of a command that could not be run.
pub fn failed(why: &str) -> String {
    let why = escaped(why);
    format!(
        r#"{{"metadata":{{}},"status":"Failure","message":"{why}","reason":"InternalError","details":{{"causes":[{{"message":"{why}"}}]}},"code":500}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_the_form_that_clients_decode() {
        assert_eq!(
            ended(7),
            "{\"metadata\":{},\"status\":\"Failure\",\
             \"message\":\"command terminated with non-zero exit code\",\
             \"reason\":\"NonZeroExitCode\",\
             \"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"7\"}]}}"
        );
        assert_eq!(
            failed("a \"b\"\\\n\u{1}ü"),
            "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"a \\\"b\\\"\\\\\\n\\u0001ü\",\
             \"reason\":\"InternalError\",\
             \"details\":{\"causes\":[{\"message\":\"a \\\"b\\\"\\\\\\n\\u0001ü\"}]},\"code\":500}"
        );
    }
}
