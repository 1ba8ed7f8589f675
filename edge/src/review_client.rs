//! The generated gRPC client over the runtime's fetch, as gRPC-web.
//!
//! It makes only unary calls. Fetch returns the whole answer at once, which suits an answer of a few bytes.

use crate::config::Config;
use futures_util::future::{Either, LocalBoxFuture, select};
use http_body_util::{BodyExt, Full};
use sentinel_proto::v1::review_service_client::ReviewServiceClient;
use sentinel_proto::v1::submit_review_response::Outcome;
use sentinel_proto::v1::{ReviewJob as WireJob, SubmitReviewRequest};
use sentinel_shared::review::ReviewJob;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::codegen::{Bytes, Service};
use tonic::metadata::MetadataValue;
use tonic_web::{GrpcWebCall, GrpcWebClientService};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Delay, console_log, console_warn, js_sys, web_sys};

/// A node only stores and answers; what it works on afterwards is not waited for.
const DEADLINE: Duration = Duration::from_secs(5);
/// The most of an answer that is read.
const ANSWER_LIMIT_BYTES: u32 = 64 * 1024;

/// Tells the node of a durable job. Nothing is lost when it is away: the sweep tells it again. False where there
/// is no use in telling it of another job now.
pub(crate) async fn submit(config: &Config, job: &ReviewJob) -> bool {
    let Some(node) = &config.node else { return false };
    let mut client = ReviewServiceClient::with_origin(
        GrpcWebClientService::new(FetchService),
        match node.url.parse() {
            Ok(origin) => origin,
            Err(_) => return false,
        },
    );
    let mut request = tonic::Request::new(SubmitReviewRequest { job: Some(WireJob::from(job)) });
    request.set_timeout(DEADLINE);
    if let Ok(bearer) = MetadataValue::try_from(format!("Bearer {}", node.token.expose_text())) {
        request.metadata_mut().insert("authorization", bearer);
    }
    match select(pin!(client.submit_review(request)), Delay::from(DEADLINE)).await {
        Either::Left((Ok(answer), _)) => {
            let outcome = answer.into_inner().outcome();
            console_log!("review.submitted: {} is {}", job.key, outcome.as_str_name());
            outcome != Outcome::Overloaded
        }
        Either::Left((Err(status), _)) => {
            console_warn!("review.not_submitted: {}, left to the sweep: {:?}", job.key, status.code());
            false
        }
        Either::Right(_) => {
            console_warn!("review.not_submitted: {}, left to the sweep: no answer", job.key);
            false
        }
    }
}

/// One request at a time over fetch.
#[derive(Clone, Copy)]
struct FetchService;

type GrpcRequest = http::Request<GrpcWebCall<tonic::body::Body>>;
type GrpcResponse = http::Response<Full<Bytes>>;

impl Service<GrpcRequest> for FetchService {
    type Response = GrpcResponse;
    type Error = tonic::Status;
    type Future = LocalBoxFuture<'static, Result<GrpcResponse, tonic::Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: GrpcRequest) -> Self::Future {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body =
                body.collect().await.map_err(|error| tonic::Status::from_error(error.into()))?.to_bytes();
            fetch(&head, &body).await.map_err(|_| tonic::Status::unavailable("the node can't be reached"))
        })
    }
}

async fn fetch(head: &http::request::Parts, body: &[u8]) -> Result<GrpcResponse, JsValue> {
    let headers = web_sys::Headers::new()?;
    for (name, value) in &head.headers {
        headers.append(name.as_str(), value.to_str().unwrap_or_default())?;
    }
    let init = web_sys::RequestInit::new();
    init.set_method(head.method.as_str());
    init.set_headers(&headers);
    init.set_body(&js_sys::Uint8Array::from(body));
    let runtime: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer = JsFuture::from(runtime.fetch_with_str_and_init(&head.uri.to_string(), &init)).await?;
    let answer: web_sys::Response = answer.unchecked_into();
    let mut response = http::Response::builder().status(answer.status());
    // A trailers-only answer carries the status in its headers.
    for name in ["content-type", "grpc-status", "grpc-message"] {
        if let Some(value) = answer.headers().get(name)? {
            response = response.header(name, value);
        }
    }
    let buffer: js_sys::ArrayBuffer = JsFuture::from(answer.array_buffer()?).await?.unchecked_into();
    if buffer.byte_length() > ANSWER_LIMIT_BYTES {
        return Err(JsValue::from_str("the answer is too large"));
    }
    let bytes = js_sys::Uint8Array::new(&buffer).to_vec();
    response.body(Full::new(Bytes::from(bytes))).map_err(|_| JsValue::from_str("an unreadable answer"))
}
