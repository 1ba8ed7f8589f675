//! Checks who asks, before a handler runs. A handler that needs a key takes a [`Call`], and only the check makes one.

use crate::app::App;
use crate::parameters::Parameters;
use crate::session;
use sentinel_shared::Result;
use sentinel_shared::access::Principal;
use worker::{Context, Request};

/// A request to a route that is open to all.
pub(crate) struct Visit {
    pub(crate) request: Request,
    pub(crate) app: &'static App,
    pub(crate) context: Context,
}

/// A request to a route that needs a key, from a caller whose key suffices.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) app: &'static App,
    pub(crate) who: Principal,
    pub(crate) query: Parameters,
    /// Keeps other files from making a call that was not checked.
    _checked: (),
}

/// The kind of key that a route requires.
#[derive(Clone, Copy)]
pub(crate) enum Needs {
    /// Any key. The answer holds only what the key may see.
    Key,
    /// An admin key, for a change to rows that it may see.
    Admin,
    /// A key that is not limited to one installation, because the answer is about all of them.
    All,
    /// An admin key that is not limited to one installation.
    Operator,
}

impl Call {
    /// Finds out who sent `request`, and checks that their key suffices.
    pub(crate) async fn admit(request: Request, app: &'static App, needs: Needs) -> Result<Self> {
        let who = session::principal(&request, app).await?;
        needs.met_by(&who)?;
        let query = Parameters::of(&request);
        Ok(Self { request, app, who, query, _checked: () })
    }
}

impl Needs {
    fn met_by(self, who: &Principal) -> Result<()> {
        match self {
            Self::Key => Ok(()),
            Self::Admin => who.may_change(),
            Self::All => who.sees_all(),
            Self::Operator => who.may_change().and_then(|()| who.sees_all()),
        }
    }
}
