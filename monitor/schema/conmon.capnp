# The interface of the pod server. Ids, ordinals and types are those that the
# clients of conmonrs use; a field may be added, none changed or taken away.
#
# Rust code for it is in `src/pod/schema/`; `cargo xtask schema` writes it.
@0xffaaf7385bc4adad;

interface Conmon @0xb737e899dd6633f1 {
    # The object that a connection begins with, and the only one there is.

    # A list instead of a struct with named fields: trace context in requests
    # (`traceparent`, `tracestate`), environment variables.
    using TextTextMap = List(TextTextMapEntry);
    using Metadata = TextTextMap;

    struct TextTextMapEntry @0xfabbfdde6d4ad392 {
        key @0 :Text;
        value @1 :Text;
    }

    enum CgroupManager @0xaa4bbac12765a78a {
        systemd @0;
        cgroupfs @1;
    }

    # Who the server is.

    struct VersionRequest @0xad2a33d6b9304413 {
        verbose @0 :Bool;       # whether cargoTree is wanted
        metadataOld @1 :Void;
        metadata @2 :Metadata;
    }

    struct VersionResponse @0xf34be5cbac1feed1 {
        processId @0 :UInt32;
        version @1 :Text;       # strict semantic version, no `v`
        tag @2 :Text;
        commit @3 :Text;
        buildDate @4 :Text;
        target @5 :Text;
        rustVersion @6 :Text;
        cargoVersion @7 :Text;
        cargoTree @8 :Text;
        metadata @9 :Void;
    }

    version @0 (request :VersionRequest) -> (response :VersionResponse);

    # Containers.

    struct LogDriver @0xae78ee8eb6b3a134 {
        enum Type @0xf026e3d750335bc1 {
            containerRuntimeInterface @0;
            json @1;
            journald @2;
        }

        type @0 :Type;
        path @1 :Text;
        maxSize @2 :UInt64;     # bytes, 0: no limit
    }

    struct CreateContainerRequest @0xba77e3fa3aa9b6ca {
        id @0 :Text;
        bundlePath @1 :Text;
        terminal @2 :Bool;
        stdin @3 :Bool;
        exitPaths @4 :List(Text);
        oomExitPaths @5 :List(Text);
        logDrivers @6 :List(LogDriver);
        cleanupCmd @7 :List(Text);
        globalArgs @8 :List(Text);
        commandArgs @9 :List(Text);
        metadataOld @10 :Void;
        metadata @11 :Metadata;
        envVars @12 :TextTextMap;
        cgroupManager @13 :CgroupManager;
        additionalFds @14 :List(UInt64);    # slots of the fd socket
        leakFds @15 :List(UInt64);
    }

    struct CreateContainerResponse @0xde3a625e70772b9a {
        containerPid @0 :UInt32;
    }

    createContainer @1 (request :CreateContainerRequest) -> (response :CreateContainerResponse);

    struct ExecSyncContainerRequest @0xf41122f890a371a6 {
        id @0 :Text;
        timeoutSec @1 :UInt64;  # 0: no limit
        command @2 :List(Text);
        terminal @3 :Bool;
        metadataOld @4 :Void;
        metadata @5 :Metadata;
        envVars @6 :TextTextMap;
        cgroupManager @7 :CgroupManager;
    }

    struct ExecSyncContainerResponse @0xd9d61d1d803c85fc {
        exitCode @0 :Int32;
        stdout @1 :Data;
        stderr @2 :Data;
        timedOut @3 :Bool;
    }

    execSyncContainer @2 (request :ExecSyncContainerRequest) -> (response :ExecSyncContainerResponse);

    struct AttachRequest @0xdf703ca0befc3afc {
        id @0 :Text;
        socketPath @1 :Text;
        execSessionId @2 :Text;
        stopAfterStdinEof @3 :Bool;
        metadataOld @4 :Void;
        metadata @5 :Metadata;
    }

    struct AttachResponse @0xace5517aafc86077 {}

    attachContainer @3 (request :AttachRequest) -> (response :AttachResponse);

    struct ReopenLogRequest @0xd0476e0f34d1411a {
        id @0 :Text;
        metadataOld @1 :Void;
        metadata @2 :Metadata;
    }

    struct ReopenLogResponse @0xa20f49456be85b99 {}

    reopenLogContainer @4 (request :ReopenLogRequest) -> (response :ReopenLogResponse);

    struct SetWindowSizeRequest @0xb5418b8ea8ead17b {
        id @0 :Text;
        width @1 :UInt16;       # columns
        height @2 :UInt16;      # rows
        metadataOld @3 :Void;
        metadata @4 :Metadata;
    }

    struct SetWindowSizeResponse @0xf9b3cd8033aba1f8 {}

    setWindowSizeContainer @5 (request :SetWindowSizeRequest) -> (response :SetWindowSizeResponse);

    # The pod.

    enum Namespace @0xd61491b560a8f3a3 {
        ipc @0;
        net @1;
        pid @2;
        user @3;
        uts @4;
    }

    struct CreateNamespacesRequest @0x8b5b1693940f607e {
        metadataOld @0 :Void;
        namespaces @1 :List(Namespace);
        uidMappings @2 :List(Text);         # lines of uid_map
        gidMappings @3 :List(Text);
        basePath @4 :Text;
        podId @5 :Text;
        metadata @6 :Metadata;
    }

    struct NamespaceResponse @0xa93853d6a4e3fa16 {
        type @0 :Namespace;
        path @1 :Text;
    }

    struct CreateNamespacesResponse @0x9887a60f577a1ecb {
        namespaces @0 :List(NamespaceResponse);
    }

    createNamespaces @6 (request :CreateNamespacesRequest) -> (response :CreateNamespacesResponse);

    struct StartFdSocketRequest @0xba53ab87a688ec29 {
        metadata @0 :Metadata;
    }

    struct StartFdSocketResponse @0xb62f418e0ae4e003 {
        path @0 :Text;
    }

    startFdSocket @7 (request :StartFdSocketRequest) -> (response :StartFdSocketResponse);

    # Streams: the answer says where to connect.

    struct ServeExecContainerRequest @0xd01c697281e61c21 {
        metadata @0 :Metadata;
        id @1 :Text;
        command @2 :List(Text);
        tty @3 :Bool;
        stdin @4 :Bool;
        stdout @5 :Bool;
        stderr @6 :Bool;
        cgroupManager @7 :CgroupManager;
    }

    struct ServeExecContainerResponse @0xa9e93cf268b17735 {
        url @0 :Text;
    }

    serveExecContainer @8 (request :ServeExecContainerRequest) -> (response :ServeExecContainerResponse);

    struct ServeAttachContainerRequest @0xca8c8e0d7826ae86 {
        metadata @0 :Metadata;
        id @1 :Text;
        stdin @2 :Bool;
        stdout @3 :Bool;
        stderr @4 :Bool;
    }

    struct ServeAttachContainerResponse @0x94a72d9a2ccb9a30 {
        url @0 :Text;
    }

    serveAttachContainer @9 (request :ServeAttachContainerRequest) -> (response :ServeAttachContainerResponse);

    struct ServePortForwardContainerRequest @0xc865d8a1122038c5 {
        metadata @0 :Metadata;
        netNsPath @1 :Text;
    }

    struct ServePortForwardContainerResponse @0xf7507d1843e734e4 {
        url @0 :Text;
    }

    servePortForwardContainer @10 (request :ServePortForwardContainerRequest)
        -> (response :ServePortForwardContainerResponse);
}
