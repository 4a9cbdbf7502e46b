//! The table of operations: a row for each, with its handler, what a key needs for it, and what its path names.

use axum::http::Method;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::needs::{About, Needs, Row, Rows, SCHEMES};
use crate::api::state::AppState;

/// Handlers with their rows.
#[derive(Default)]
pub struct Operations {
    router: OpenApiRouter<AppState>,
    rows: Rows,
}

impl Operations {
    pub fn new(document: OpenApi) -> Self {
        Self {
            router: OpenApiRouter::with_openapi(document),
            rows: Rows::new(),
        }
    }

    /// Adds operations that need the same; mostly it is one.
    #[must_use]
    pub fn add(
        mut self,
        needs: impl Into<Needs>,
        about: About,
        (schemas, mut paths, handler): UtoipaMethodRouter<AppState>,
    ) -> Self {
        let needs = needs.into();
        for (path, item) in &mut paths.paths {
            let rows = self.rows.entry(path.clone()).or_default();
            for (method, operation) in methods(item) {
                require(operation, needs);
                let id = operation.operation_id.clone().unwrap_or_default();
                rows.insert(method, Row { id, needs, about });
            }
        }
        self.router = self.router.routes((schemas, paths, handler));
        self
    }

    /// Says the same of a path that is routed and in no document.
    #[must_use]
    pub fn undocumented(mut self, needs: impl Into<Needs>, about: About, path: &str) -> Self {
        let row = Row {
            id: String::new(),
            needs: needs.into(),
            about,
        };
        let rows = self.rows.entry(path.to_owned()).or_default();
        rows.insert(Method::POST, row);
        self
    }

    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (path, rows) in other.rows {
            self.rows.entry(path).or_default().extend(rows);
        }
        self.router = self.router.merge(other.router);
        self
    }

    /// Changes what all of them pass through: layers, not routes.
    #[must_use]
    pub fn layered(
        mut self,
        layer: impl FnOnce(OpenApiRouter<AppState>) -> OpenApiRouter<AppState>,
    ) -> Self {
        self.router = layer(self.router);
        self
    }

    pub fn split(self) -> (axum::Router<AppState>, OpenApi, Rows) {
        let (router, document) = self.router.split_for_parts();
        (router, document, self.rows)
    }
}

fn methods(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Says in the document what is needed. Where no keys were made none is, so that it may be left out.
fn require(operation: &mut Operation, needs: Needs) {
    let scopes: &[&str] = match needs {
        Needs::Nothing => return,
        Needs::Key => &[],
        Needs::Scope(scope) => &[scope.as_str()],
    };
    let by = |scheme: &str| SecurityRequirement::new(scheme, scopes.iter().copied());
    let mut ways: Vec<_> = SCHEMES.iter().map(|scheme| by(scheme)).collect();
    ways.push(SecurityRequirement::default());
    operation.security = Some(ways);
}
