//! The table of methods, and what the server makes of it: requests and
//! responses by the number of their method.

use super::super::convert::Message;
use super::super::schema::conmon_capnp::conmon;
use super::super::service::{Call, Service};
use super::super::types::*;

/// Hands the table to the macro `$then`: number in the interface, name,
/// request, response, and the schema's structs around them.
macro_rules! methods {
    ($then:ident) => {
        $then! {
            0 version VersionRequest VersionResponse version_params version_results,
            1 create_container CreateContainerRequest CreateContainerResponse
                create_container_params create_container_results,
            2 exec_sync_container ExecSyncContainerRequest ExecSyncContainerResponse
                exec_sync_container_params exec_sync_container_results,
            3 attach_container AttachRequest AttachResponse
                attach_container_params attach_container_results,
            4 reopen_log_container ReopenLogRequest ReopenLogResponse
                reopen_log_container_params reopen_log_container_results,
            5 set_window_size_container SetWindowSizeRequest SetWindowSizeResponse
                set_window_size_container_params set_window_size_container_results,
            6 create_namespaces CreateNamespacesRequest CreateNamespacesResponse
                create_namespaces_params create_namespaces_results,
            7 start_fd_socket StartFdSocketRequest StartFdSocketResponse
                start_fd_socket_params start_fd_socket_results,
            8 serve_exec_container ServeExecContainerRequest ServeExecContainerResponse
                serve_exec_container_params serve_exec_container_results,
            9 serve_attach_container ServeAttachContainerRequest ServeAttachContainerResponse
                serve_attach_container_params serve_attach_container_results,
            10 serve_port_forward_container ServePortForwardContainerRequest
                ServePortForwardContainerResponse
                serve_port_forward_container_params serve_port_forward_container_results,
        }
    };
}
pub(crate) use methods;

macro_rules! define {
    ($($number:literal $method:ident $request:ident $response:ident $params:ident $results:ident,)*) => {
        /// Any request; each variant is named after what it holds.
        #[derive(Debug)]
        #[allow(clippy::enum_variant_names)]
        pub(crate) enum Request {
            $($request($request),)*
        }

        /// Any response; each variant is named after what it holds.
        #[derive(Debug)]
        #[allow(clippy::enum_variant_names)]
        pub(crate) enum Response {
            $($response($response),)*
        }

        impl Request {
            /// Takes the request of this method from the parameters of a call;
            /// `None` when there is no such method.
            pub(crate) fn read(
                method: u16,
                params: capnp::any_pointer::Reader<'_>,
            ) -> Result<Option<Request>, String> {
                let text = |error: capnp::Error| error.to_string();
                let request = match method {
                    $($number => {
                        let params: conmon::$params::Reader<'_> = params.get_as().map_err(text)?;
                        let request = params.get_request().map_err(text)?;
                        Request::$request($request::read(request)?)
                    })*
                    _ => return Ok(None),
                };
                Ok(Some(request))
            }

            /// Calls the method.
            pub(crate) fn answer<S: Service + ?Sized>(
                self,
                service: &S,
                call: &Call,
            ) -> Result<Response, String> {
                match self {
                    $(Request::$request(request) => {
                        service.$method(call, request).map(Response::$response)
                    })*
                }
            }
        }

        impl Response {
            /// Puts it into the results of a call.
            pub(crate) fn write(&self, results: capnp::any_pointer::Builder<'_>) {
                match self {
                    $(Response::$response(response) => {
                        let results: conmon::$results::Builder<'_> = results.init_as();
                        response.write(results.init_response());
                    })*
                }
            }
        }
    };
}
methods!(define);
