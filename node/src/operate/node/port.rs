//! What the one port answers: gRPC and gRPC-web, health and reflection, and `/healthz`, `/readyz`, `/metrics`.

use crate::operate::grpc::{MESSAGE_LIMIT_BYTES, Service, authorize};
use crate::operate::metrics::Metrics;
use crate::operate::readiness::Readiness;
use anyhow::{Context, Result};
use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use sentinel_proto::v1::review_service_server::ReviewServiceServer;
use std::sync::Arc;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic_web::GrpcWebLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

/// Every route of the port.
pub(super) async fn router(
    service: Service,
    token: Arc<sentinel_shared::signature::Secret>,
    readiness: &Arc<Readiness>,
    metrics: &Arc<Metrics>,
) -> Result<Router> {
    let review = ReviewServiceServer::new(service)
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
        .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
    let review = InterceptedService::new(review, move |request| authorize(&token, request));
    let (health_reporter, health) = tonic_health::server::health_reporter();
    health_reporter
        .set_service_status("sentinel.review.v1.ReviewService", tonic_health::ServingStatus::Serving)
        .await;
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(sentinel_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection = described().build_v1().context("the reflection service")?;
    // What Python's and other clients still ask for.
    let reflection_alpha = described().build_v1alpha().context("the older reflection service")?;
    // Pages of any origin may call: what protects a call is its token, which no browser sends by itself.
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::from(Any))
        // A wildcard would leave out the one that matters: authorization.
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([axum::http::Method::POST])
        .expose_headers(
            ["grpc-status", "grpc-message", "grpc-status-details-bin"].map(HeaderName::from_static),
        );
    let grpc = Routes::new(review)
        .add_service(health)
        .add_service(reflection)
        .add_service(reflection_alpha)
        .into_axum_router()
        .reset_fallback()
        .route_layer(GrpcWebLayer::new())
        .route_layer(cors);
    let (ready, metrics) = (Arc::clone(readiness), Arc::clone(metrics));
    let readyz = move || async move {
        match ready.reason() {
            None => (StatusCode::OK, "ready\n").into_response(),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
        }
    };
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok(grpc
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(move || async move { (text, metrics.text()) })))
}
