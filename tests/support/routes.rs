//! The worker's routes, as its router has them.

/// A route of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// The kind of key that the route needs: `Nothing`, `Key`, `Admin`, `All` or `Operator`.
    pub needs: &'static str,
}

macro_rules! routes {
    ($($method:ident $path:literal $needs:ident $handler:path;)*) => {
        /// Every route of the worker.
        pub const ROUTES: &[Route] =
            &[$(Route { method: stringify!($method), path: $path, needs: stringify!($needs) }),*];
    };
}

include!("../../edge/src/routes.rs");
