//! The `attach-proxy` program: process start around the library of the same name.

#![no_std]
#![no_main]
#![allow(unsafe_code)]

wire::program!(c"attach-proxy", attach_proxy::run);
