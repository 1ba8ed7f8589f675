// Every route of the worker: its method, its path, the kind of key it needs (`guard::Needs`, or Nothing), and its handler.
//
// The list is written once and read twice. `router.rs` includes it to find handlers. The tests include it to compare it
// with docs/openapi.yaml, and to ask every route with every kind of key.
routes! {
    Post   "/webhook/github"           Nothing   webhook::receive;
    Get    "/health"                   Nothing   health::health;
    Get    "/openapi.yaml"             Nothing   pages::reference;
    Get    "/setup"                    Nothing   setup::page;
    Get    "/setup/done"               Nothing   setup::done;
    Get    "/api/session"              Nothing   session::show;
    Post   "/api/session"              Nothing   session::open;
    Delete "/api/session"              Nothing   session::close;

    Post   "/api/classify"             Key       verdicts::classify;
    Get    "/api/history"              Key       verdicts::history;
    Get    "/api/inference"            Key       verdicts::inference;
    Get    "/api/telemetry"            Key       verdicts::telemetry;
    Get    "/api/timeline"             Key       verdicts::timeline;
    Get    "/api/causes"               Key       failures::causes;
    Get    "/api/cause"                Key       failures::cause;
    Get    "/api/run"                  Key       failures::run;
    Get    "/api/failure"              Key       failures::failure;
    Get    "/api/tests"                Key       failures::tests;
    Post   "/api/reports"              Key       reports::upload;
    Get    "/api/red"                  Key       failures::red;
    Get    "/api/known"                Key       known::list;
    Post   "/api/known"                Admin     known::make;
    Delete "/api/known"                Admin     known::remove;
    Get    "/api/dashboard"            Key       overview::dashboard;
    Get    "/api/drift"                Key       overview::drift;
    Get    "/api/psi"                  Key       overview::drift;
    Get    "/api/drift/windows"        Key       overview::drift_windows;
    Get    "/api/feedback"             Key       feedback::audit;
    Post   "/api/feedback"             Key       feedback::feedback;
    Get    "/api/feedback/stats"       Key       feedback::stats;
    Get    "/api/breakers"             Key       reviews::breakers;
    Get    "/api/job"                  Key       reviews::show;
    Get    "/api/jobs"                 Key       reviews::list;
    Post   "/api/jobs/replay"          Admin     reviews::replay;
    Get    "/api/deliveries"           Key       deliveries::list;
    Post   "/api/deliveries/redeliver" Admin     deliveries::redeliver;
    Delete "/api/repositories"         Admin     deliveries::forget;

    Get    "/api/github"               All       health::github;
    Get    "/metrics"                  All       metrics::metrics;
    Get    "/api/registry"             All       models::show;
    Get    "/api/models/bundle"        All       models::bundle;
    Get    "/api/models/diff"          All       models::diff;
    Post   "/api/models"               Operator  models::upload;
    Post   "/api/models/promote"       Operator  models::promote;
    Post   "/api/models/rollback"      Operator  models::rollback;
    Get    "/api/keys"                 Operator  keys::list;
    Post   "/api/keys"                 Operator  keys::make;
    Delete "/api/keys"                 Operator  keys::revoke;
}
