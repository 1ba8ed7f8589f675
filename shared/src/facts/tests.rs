use super::*;
use proptest::prelude::*;

/// The facts of a fixture. Each is written in its tool's own form.
macro_rules! facts_of {
    ($name:literal) => {
        Facts::of(fixture!($name).lines())
    };
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/facts/", $name, ".log"))
    };
}

/// Every fixture, for what holds for all of them.
const FIXTURES: [&str; 50] = [
    fixture!("bun"),
    fixture!("cargo"),
    fixture!("catch2"),
    fixture!("csc"),
    fixture!("ctest"),
    fixture!("cypress"),
    fixture!("dart"),
    fixture!("dart-github"),
    fixture!("dotnet"),
    fixture!("dotnet-platform"),
    fixture!("eslint"),
    fixture!("exunit"),
    fixture!("gcc"),
    fixture!("go"),
    fixture!("go-build"),
    fixture!("go-json"),
    fixture!("go-timeout"),
    fixture!("gradle"),
    fixture!("gtest"),
    fixture!("javac"),
    fixture!("jest"),
    fixture!("kotlinc"),
    fixture!("minitest"),
    fixture!("mocha"),
    fixture!("msvc"),
    fixture!("mypy"),
    fixture!("nextest"),
    fixture!("node-test"),
    fixture!("node-test-tap"),
    fixture!("nunit"),
    fixture!("pest"),
    fixture!("php"),
    fixture!("phpunit"),
    fixture!("playwright"),
    fixture!("prefixes"),
    fixture!("pytest"),
    fixture!("rspec"),
    fixture!("ruby"),
    fixture!("ruff"),
    fixture!("rustc"),
    fixture!("scalatest"),
    fixture!("surefire"),
    fixture!("surefire-2"),
    fixture!("swift-testing"),
    fixture!("swiftc"),
    fixture!("tap"),
    fixture!("tsc"),
    fixture!("unittest"),
    fixture!("vitest"),
    fixture!("xctest"),
];

/// Fails unless the tests of a tool are these, and as many in all.
fn assert_tests(facts: &Facts, tool: Tool, names: &[&str], total: u32) {
    let found: Vec<(&str, Tool)> =
        facts.failing_tests.iter().map(|test| (test.name.as_str(), test.tool)).collect();
    let expected: Vec<(&str, Tool)> = names.iter().map(|name| (*name, tool)).collect();
    assert_eq!((found, facts.failing_tests_total), (expected, total));
}

/// Fails unless the places are these: `path:line:column message`, with `frame` before a stack frame.
fn assert_places(facts: &Facts, places: &[&str]) {
    let found: Vec<String> = facts
        .places
        .iter()
        .map(|place| {
            let kind = if place.kind == PlaceKind::Frame { "frame " } else { "" };
            let column = place.column.map_or(String::new(), |column| format!(":{column}"));
            let message = place.message.as_ref().map_or(String::new(), |message| format!(" {message}"));
            format!("{kind}{}:{}{column}{message}", place.path, place.line)
        })
        .collect();
    assert_eq!(found, places);
}

fn assert_missing(text: &str, what: What, name: &str) {
    let facts = Facts::of(text.lines());
    assert_eq!(facts.missing, [Missing { what, name: name.to_owned() }], "{text}");
}

// === Failing tests ===

#[test]
fn a_tests_name_may_begin_with_its_file() {
    let file = |name: &str| FailingTest { name: name.to_owned(), tool: Tool::Pytest }.file();
    for (name, expected) in [
        ("tests/test_cart.py::TestCart::test_total[a: b]", "tests/test_cart.py"),
        ("src/cart.test.ts > cart > adds up", "src/cart.test.ts"),
        ("src/load.test.ts", "src/load.test.ts"),
        ("[chromium] › tests/cart.spec.ts:9:5 › cart › adds up", "tests/cart.spec.ts"),
        ("/home/runner/work/app/app/test/cart_test.dart: adds up", "test/cart_test.dart"),
    ] {
        assert_eq!(file(name).as_deref(), Some(expected), "{name}");
    }
    for name in
        ["cart › adds up", "TestLoad", "tests.test_load.LoadTest.test_load", "shop::cart::adds_up", "", "[a]"]
    {
        assert_eq!(file(name), None, "{name}");
    }
}

#[test]
fn pytest_names_failures_and_errors_by_their_paths() {
    let facts = facts_of!("pytest");
    assert_tests(
        &facts,
        Tool::Pytest,
        &[
            "tests/test_cart.py::TestCart::test_total",
            "tests/test_price.py::test_rounding",
            "tests/test_price.py::test_price_in[EUR - euro]",
        ],
        3,
    );
    assert_places(
        &facts,
        &[
            "shop/load.py:4 FileNotFoundError: [Errno 2] No such file or directory: 'rates.json'",
            "tests/test_cart.py:21 assert 7 == 8",
            "frame tests/conftest.py:9",
        ],
    );
    assert_eq!(facts.missing, [Missing { what: What::File, name: "rates.json".to_owned() }]);
    assert_eq!(facts.exit_code, Some(1));
}

#[test]
fn unittest_names_failures_by_module_class_and_method() {
    let facts = facts_of!("unittest");
    let names = ["tests.test_load.LoadTest.test_load", "tests.test_cart.CartTest.test_total"];
    assert_tests(&facts, Tool::Unittest, &names, 2);
    assert_eq!(facts.missing, [Missing { what: What::Variable, name: "SHOP_DATA_DIR".to_owned() }]);
    assert_places(
        &facts,
        &[
            "frame shop/load.py:4 KeyError: 'SHOP_DATA_DIR'",
            "frame tests/test_cart.py:8 AssertionError: 7 != 8",
            "frame tests/test_load.py:12",
        ],
    );
}

#[test]
fn jest_names_tests_with_their_suites_and_files_that_do_not_run() {
    let facts = facts_of!("jest");
    assert_tests(&facts, Tool::Jest, &["cart › with discount › adds up", "src/load.test.ts"], 2);
    assert_places(
        &facts,
        &[
            "frame src/cart.test.ts:20:26 expect(received).toBe(expected) // Object.is equality",
            "frame src/load.ts:1:1 Cannot find module './rates.json' from 'src/load.ts'",
        ],
    );
    assert_eq!(facts.missing, [Missing { what: What::Module, name: "./rates.json".to_owned() }]);
}

#[test]
fn vitest_names_tests_with_their_files() {
    let facts = facts_of!("vitest");
    assert_tests(&facts, Tool::Vitest, &["src/load.test.ts", "src/cart.test.ts > cart > adds up"], 2);
    assert_places(
        &facts,
        &["frame src/cart.test.ts:8:26 AssertionError: expected 7 to be 8 // Object.is equality"],
    );
}

#[test]
fn mocha_joins_the_titles_of_suites_and_test() {
    let facts = facts_of!("mocha");
    let names = ["Cart › with discount › adds up", "\"before all\" hook in \"{root}\""];
    assert_tests(&facts, Tool::Mocha, &names, 2);
    assert_places(&facts, &["frame test/cart.js:12:14 AssertionError [ERR_ASSERTION]: 7 == 8"]);
    assert_eq!(facts.limit_seconds, Some(2.0));
    let untitled = "  1 failing\n\n  1)\n\n       Cart\n         adds up:\n     Error: 7";
    assert_tests(&Facts::of(untitled.lines()), Tool::Mocha, &["Cart › adds up"], 1);
}

#[test]
fn cypress_is_told_from_mocha() {
    let facts = facts_of!("cypress");
    assert_tests(&facts, Tool::Cypress, &["Login › shows the form"], 1);
    assert_eq!(facts.places[0].path, "cypress/e2e/login.cy.js");
    assert_eq!(facts.limit_seconds, Some(4.0));
}

#[test]
fn node_test_names_the_tests_and_not_their_suites() {
    assert_tests(&facts_of!("node-test"), Tool::NodeTest, &["adds up"], 1);
    assert_tests(&facts_of!("node-test-tap"), Tool::NodeTest, &["adds up"], 1);
}

#[test]
fn tap_leaves_out_what_is_to_be_done_later() {
    assert_tests(&facts_of!("tap"), Tool::Tap, &["copies a file"], 1);
}

#[test]
fn bun_names_tests_without_their_time() {
    let facts = facts_of!("bun");
    assert_tests(&facts, Tool::Bun, &["cart > adds up"], 1);
    assert_places(&facts, &["frame src/cart.test.ts:8:19 error: expect(received).toBe(expected)"]);
}

#[test]
fn playwright_leaves_out_tests_that_passed_in_the_end() {
    let facts = facts_of!("playwright");
    assert_tests(&facts, Tool::Playwright, &["[chromium] › tests/cart.spec.ts:9:5 › cart › adds up"], 1);
    assert_places(&facts, &["frame tests/cart.spec.ts:12:42 Error: expect(locator).toHaveText(expected)"]);
    assert_eq!(facts.limit_seconds, Some(30.0));
}

#[test]
fn go_names_subtests_instead_of_their_parents() {
    let facts = facts_of!("go");
    assert_tests(&facts, Tool::Go, &["TestTotal/with_discount", "TestLoad"], 2);
    assert_places(&facts, &["cart_test.go:21 total = 7, want 8", "frame load.go:14 panic: open rates.json"]);
    assert_tests(&facts_of!("go-json"), Tool::Go, &["TestTotal"], 1);
}

#[test]
fn go_names_the_test_that_ran_too_long() {
    let facts = facts_of!("go-timeout");
    assert_tests(&facts, Tool::Go, &["TestSlow"], 1);
    assert_eq!(facts.limit_seconds, Some(600.0));
}

#[test]
fn cargo_test_names_tests_and_examples_in_documentation() {
    let facts = facts_of!("cargo");
    assert_tests(&facts, Tool::Cargo, &["cart::tests::adds_up", "src/lib.rs - price (line 12)"], 2);
    assert_places(&facts, &["src/cart.rs:31:9 assertion `left == right` failed", "frame src/cart.rs:14:5"]);
}

#[test]
fn nextest_leaves_out_tests_that_passed_in_the_end() {
    let facts = facts_of!("nextest");
    assert_tests(&facts, Tool::Nextest, &["shop cart::tests::adds_up", "shop::load load::waits"], 2);
    assert_eq!(facts.took_seconds, Some(60.012));
}

#[test]
fn surefire_names_tests_with_their_classes() {
    let facts = facts_of!("surefire");
    let names = ["org.example.shop.CartTest.addsUp", "org.example.shop.CartTest.loads"];
    assert_tests(&facts, Tool::Surefire, &names, 2);
    assert_places(
        &facts,
        &[
            "frame org/example/shop/CartTest.java:21 org.opentest4j.AssertionFailedError: expected: <8> but was: <7>",
            "frame org/example/shop/Rates.java:14 java.lang.IllegalStateException: no rates",
        ],
    );
    assert_tests(&facts_of!("surefire-2"), Tool::Surefire, &["org.example.shop.CartTest.addsUp"], 1);
    let results = "Failed tests:   addsUp(org.example.CartTest): expected 8\n\nTests in error: \n  loads(org.example.CartTest): no rates\n\nTests run: 3, Failures: 1, Errors: 1, Skipped: 0";
    let names = ["org.example.CartTest.addsUp", "org.example.CartTest.loads"];
    assert_tests(&Facts::of(results.lines()), Tool::Surefire, &names, 2);
}

#[test]
fn gradle_names_tests_and_not_its_tasks() {
    let facts = facts_of!("gradle");
    let names = ["org.example.shop.CartTest > addsUp()", "CartTest > with discount > adds up [2]"];
    assert_tests(&facts, Tool::Gradle, &names, 2);
    assert_places(
        &facts,
        &[
            "frame org/example/shop/Rates.java:14 java.lang.IllegalStateException: no rates",
            "frame CartTest.java:21",
        ],
    );
}

#[test]
fn scalatest_names_what_its_specs_say() {
    assert_tests(&facts_of!("scalatest"), Tool::Scalatest, &["adds up"], 1);
}

#[test]
fn dotnet_test_names_tests_of_both_platforms() {
    let facts = facts_of!("dotnet");
    let names = ["Shop.Tests.CartTests.AddsUp", "Shop.Tests.CartTests.Discount(rate: 3)"];
    assert_tests(&facts, Tool::Dotnet, &names, 2);
    assert_places(&facts, &["frame Shop.Tests/CartTests.cs:21"]);
    assert_tests(&facts_of!("dotnet-platform"), Tool::Dotnet, &["Shop.Tests.CartTests.AddsUp"], 1);
    assert_tests(&facts_of!("nunit"), Tool::Nunit, &["Shop.Tests.CartTests.AddsUp"], 1);
}

#[test]
fn rspec_names_examples_by_their_descriptions() {
    let facts = facts_of!("rspec");
    assert_tests(&facts, Tool::Rspec, &["Cart with a discount adds up"], 1);
    assert_places(&facts, &["frame spec/cart_spec.rb:21 Failure/Error: expect(cart.total).to eq(8)"]);
}

#[test]
fn minitest_names_tests_with_their_classes() {
    let facts = facts_of!("minitest");
    assert_tests(&facts, Tool::Minitest, &["CartTest#test_adds_up", "CartTest#test_loads"], 2);
    let places = facts.places.iter().map(|place| (place.path.as_str(), place.line)).collect::<Vec<_>>();
    assert_eq!(places, [("test/cart_test.rb", 21), ("lib/load.rb", 4), ("test/cart_test.rb", 30)]);
}

#[test]
fn phpunit_and_pest_leave_out_what_was_skipped() {
    let facts = facts_of!("phpunit");
    let names = [
        r"App\Tests\LoadTest::testLoads",
        r#"App\Tests\CartTest::testAddsUp with data set "discount" (3, 4)"#,
    ];
    assert_tests(&facts, Tool::Phpunit, &names, 2);
    assert_places(
        &facts,
        &[
            "frame src/Load.php:14 RuntimeException: no rates",
            "frame tests/LoadTest.php:9",
            "frame tests/CartTest.php:21",
        ],
    );
    assert_tests(&facts_of!("pest"), Tool::Pest, &[r"Tests\Feature\CartTest > it adds up"], 1);
}

#[test]
fn ctest_lists_its_failures_at_the_end() {
    let facts = facts_of!("ctest");
    assert_tests(&facts, Tool::Ctest, &["cart", "load"], 2);
    assert_eq!(facts.took_seconds, Some(10.01));
}

#[test]
fn google_test_and_catch2_name_their_cases() {
    let facts = facts_of!("gtest");
    assert_tests(&facts, Tool::Gtest, &["Cart.AddsUp", "Sizes/Cart.Fits/0"], 2);
    assert_places(&facts, &["tests/cart_test.cc:21 Expected equality of these values:"]);
    let facts = facts_of!("catch2");
    assert_tests(&facts, Tool::Catch2, &["Cart adds up"], 1);
    assert_places(&facts, &["tests/cart.cpp:21 REQUIRE( total == 8 )"]);
}

#[test]
fn what_google_test_counts_is_not_counted_again_for_ctest() {
    let both = fixture!("gtest").lines().chain(fixture!("ctest").lines());
    assert_eq!(Facts::of(both).failing_tests_total, 2);
}

#[test]
fn dart_names_tests_of_both_reporters() {
    let name = ["test/cart_test.dart: cart adds up"];
    let facts = facts_of!("dart");
    assert_tests(&facts, Tool::Dart, &name, 1);
    assert_places(&facts, &["frame test/cart_test.dart:12:5"]);
    assert_tests(&facts_of!("dart-github"), Tool::Dart, &name, 1);
}

#[test]
fn xctest_and_swift_testing_name_their_tests() {
    let facts = facts_of!("xctest");
    assert_tests(&facts, Tool::Xctest, &["ShopTests.CartTests.testAddsUp"], 1);
    assert_eq!((facts.places[0].path.as_str(), facts.places[0].line), ("Tests/CartTests.swift", 21));
    assert_tests(&facts_of!("swift-testing"), Tool::SwiftTesting, &["adds up", "loads()"], 2);
}

#[test]
fn exunit_names_tests_with_their_modules() {
    let facts = facts_of!("exunit");
    assert_tests(&facts, Tool::Exunit, &["test adds up (Shop.CartTest)"], 1);
    assert_places(
        &facts,
        &["frame test/shop/cart_test.exs:12", "frame test/shop/cart_test.exs:14", "frame lib/shop/cart.ex:9"],
    );
}

#[test]
fn what_task_runners_and_containers_write_in_front_is_passed_over() {
    let facts = facts_of!("prefixes");
    let names: Vec<_> = facts.failing_tests.iter().map(|test| test.name.as_str()).collect();
    assert_eq!(names, ["src/cart.test.ts > cart > adds up", "tests/test_cart.py::test_total", "TestTotal"]);
    assert_places(&facts, &["src/cart.c:14:12 error: 'sum' undeclared"]);
}

#[test]
fn a_run_that_is_tried_again_is_counted_once() {
    let twice = fixture!("pytest").lines().chain(fixture!("pytest").lines());
    assert_eq!(Facts::of(twice).failing_tests_total, 3);
}

#[test]
fn at_most_fifty_tests_are_named_and_all_are_counted() {
    let lines: Vec<String> = (0..80).map(|number| format!("FAILED tests/test_a.py::test_{number}")).collect();
    let facts = Facts::of(lines.iter().map(String::as_str));
    assert_eq!((facts.failing_tests.len(), facts.failing_tests_total), (TESTS_MAX, 80));
    assert_eq!(facts.failing_tests[49].name, "tests/test_a.py::test_49");
}

// === Places ===

#[test]
fn gcc_and_clang_errors_are_places_and_warnings_and_notes_are_not() {
    let facts = facts_of!("gcc");
    assert_places(
        &facts,
        &[
            "src/cart.c:14:12 error: 'sum' undeclared (first use in this function)",
            "src/load.c:3:10 fatal error: rates.h: No such file or directory",
            "src/main.c:9 undefined reference to `total'",
        ],
    );
    assert_eq!(facts.missing, [Missing { what: What::File, name: "rates.h".to_owned() }]);
}

#[test]
fn msvc_and_csc_write_the_position_in_brackets() {
    assert_places(
        &facts_of!("msvc"),
        &[
            r"src/cart.cpp:14:12 error C2065: 'sum': undeclared identifier [D:\a\shop\shop\build\shop.vcxproj]",
        ],
    );
    assert_places(
        &facts_of!("csc"),
        &[
            r"Shop/Cart.cs:14:12 error CS0103: The name 'sum' does not exist in the current context [D:\a\shop\shop\Shop\Shop.csproj]",
        ],
    );
}

#[test]
fn rustc_tells_the_message_before_the_place() {
    assert_places(&facts_of!("rustc"), &["src/cart.rs:14:12 error[E0382]: use of moved value: `items`"]);
}

#[test]
fn javac_is_read_in_its_own_form_and_in_mavens() {
    assert_places(
        &facts_of!("javac"),
        &[
            "src/main/java/org/example/Cart.java:14:12 cannot find symbol",
            "src/main/java/org/example/Load.java:9 error: package com.rates does not exist",
        ],
    );
}

#[test]
fn kotlinc_is_read_in_its_new_form_and_in_its_old_one() {
    assert_places(
        &facts_of!("kotlinc"),
        &[
            "src/main/kotlin/Cart.kt:14:12 Unresolved reference: sum",
            "src/main/kotlin/Load.kt:9:5 Unresolved reference: rates",
        ],
    );
}

#[test]
fn tsc_is_read_with_and_without_pretty() {
    assert_places(
        &facts_of!("tsc"),
        &[
            "src/cart.ts:14:12 error TS2345: Argument of type 'string' is not assignable to parameter of type 'number'.",
            "src/load.ts:9:5 error TS2307: Cannot find module './rates' or its corresponding type declarations.",
        ],
    );
}

#[test]
fn eslint_rows_belong_to_the_file_above_them() {
    assert_places(&facts_of!("eslint"), &["src/cart.ts:14:12 'sum' is not defined no-undef"]);
}

#[test]
fn ruff_is_read_in_its_full_and_its_concise_form() {
    assert_places(
        &facts_of!("ruff"),
        &[
            "shop/cart.py:1:8 F401 [*] `os` imported but unused",
            "shop/load.py:9:80 E501 Line too long (91 > 88)",
        ],
    );
}

#[test]
fn mypy_errors_are_places_and_its_notes_are_not() {
    assert_places(
        &facts_of!("mypy"),
        &[
            "shop/cart.py:14 error: Incompatible return value type (got \"str\", expected \"int\")  [return-value]",
            "shop/load.py:9:5 error: Name \"rates\" is not defined  [name-defined]",
        ],
    );
}

#[test]
fn go_build_writes_no_word_for_error() {
    let facts = facts_of!("go-build");
    assert_places(
        &facts,
        &[
            "cart.go:14:12 undefined: sum",
            "internal/load.go:9:2 no required module provides package example.com/rates; to add it:",
        ],
    );
    assert_eq!(facts.missing, [Missing { what: What::Module, name: "example.com/rates".to_owned() }]);
}

#[test]
fn dart_and_flutter_analyze_write_the_place_before_or_after_the_message() {
    let text = "  error - lib/a.dart:96:7 - The final variable 'hex' can only be set once. - assignment_to_final_local\n\
         [core]:   error - lib/b.dart:16:20 - This expression has a type of 'void'. - use_of_void_result\n\
         \u{20}  error • Undefined name 'M'. Try - again • lib/c.dart:13:8 • undefined_identifier\n\
         warning - lib/d.dart:1:1 - Unused import - unused_import\n\
         lib/e.dart:141:41:\nError: Not a constant expression.\n\
         #0      throwToolExit (package:flutter_tools/src/base/common.dart:10:3)\n";
    let facts = Facts::of(text.lines());
    assert_places(
        &facts,
        &[
            "lib/a.dart:96:7 The final variable 'hex' can only be set once. - assignment_to_final_local",
            "lib/b.dart:16:20 This expression has a type of 'void'. - use_of_void_result",
            "lib/c.dart:13:8 Undefined name 'M'. Try - again",
            "lib/e.dart:141:41 Error: Not a constant expression.",
        ],
    );
}

#[test]
fn what_tests_print_before_the_failures_are_told_is_no_place() {
    let text = "stderr | src/a.test.ts > shows an error\nError: planned\n    at render (src/a.ts:5:9)\n\
         ⎯⎯⎯⎯⎯⎯⎯ Failed Tests 1 ⎯⎯⎯⎯⎯⎯⎯\n FAIL  src/b.test.ts > adds\nAssertionError: expected 3 to be 4\n ❯ src/b.test.ts:7:15\n";
    let facts = Facts::of(text.lines());
    assert_places(&facts, &["frame src/b.test.ts:7:15 AssertionError: expected 3 to be 4"]);
}

#[test]
fn swiftc_errors_are_places() {
    assert_places(&facts_of!("swiftc"), &["Sources/Shop/Cart.swift:14:12 error: cannot find 'sum' in scope"]);
}

#[test]
fn php_names_the_file_at_the_end_and_numbers_its_frames() {
    assert_places(
        &facts_of!("php"),
        &[
            "src/Cart.php:14 syntax error, unexpected token \"}\"",
            "src/Load.php:9 Uncaught Error: Call to undefined function rates()",
            "frame bin/shop.php:4",
        ],
    );
}

#[test]
fn ruby_errors_frames_and_rubocop_are_told_apart() {
    assert_places(
        &facts_of!("ruby"),
        &[
            "lib/cart.rb:14 syntax error, unexpected end-of-input",
            "lib/price.rb:3:1 C: [Correctable] Style/FrozenStringLiteralComment: Missing frozen string literal comment.",
            "frame lib/load.rb:9",
            "frame bin/shop.rb:4",
        ],
    );
}

// === Numbers ===

#[test]
fn the_runners_exit_code_wins_and_a_signal_is_read_from_it() {
    let facts =
        Facts::of(["make: *** [all] exit status 2", "##[error]Process completed with exit code 137."]);
    assert_eq!((facts.exit_code, facts.signal.as_deref()), (Some(137), Some("SIGKILL")));
    let facts = Facts::of(["./run.sh: line 3:  4242 Segmentation fault      (core dumped) ./shop"]);
    assert_eq!(facts.signal.as_deref(), Some("SIGSEGV"));
    assert_eq!(Facts::of(["child exited with code 3"]).exit_code, Some(3));
    assert_eq!(Facts::of(["exited with code 0"]).exit_code, None);
}

#[test]
fn a_clients_status_is_told_and_a_servers_log_is_not() {
    for line in [
        "curl: (22) The requested URL returned error: 503",
        "urllib.error.HTTPError: HTTP Error 503: Service Unavailable",
        "npm error code E503",
        "Response status code does not indicate success: 503 (Service Unavailable).",
        "HTTP/1.1 503 Service Unavailable",
        "RequestError [HttpError]: status: 503",
    ] {
        assert_eq!(Facts::of([line]).http_status, Some(503), "{line}");
    }
    for line in
        [r#"127.0.0.1 - - "GET / HTTP/1.1" 503 12"#, "HTTP 200 OK", "HTTP Error 5030", "status: 404.5"]
    {
        assert_eq!(Facts::of([line]).http_status, None, "{line}");
    }
}

#[test]
fn timeouts_tell_their_limit_or_what_they_took() {
    for (line, limit) in [
        (
            "##[error]The job running on runner X has exceeded the maximum execution time of 30 minutes.",
            1800.0,
        ),
        ("##[error]The action 'Test' has timed out after 5 minutes.", 300.0),
        ("##[error]Timeout of 3600000ms hit", 3600.0),
        ("thrown: \"Exceeded timeout of 5000 ms for a test.", 5.0),
        ("Error: Test timed out in 5000ms.", 5.0),
        ("E   Failed: Timeout >30.0s", 30.0),
        ("subprocess.TimeoutExpired: Command 'x' timed out after 60 seconds", 60.0),
    ] {
        assert_eq!(Facts::of([line]).limit_seconds, Some(limit), "{line}");
    }
    let facts = Facts::of(["curl: (28) Operation timed out after 30001 milliseconds with 0 bytes received"]);
    assert_eq!((facts.took_seconds, facts.limit_seconds), (Some(30.001), None));
}

// === Missing ===

#[test]
fn what_is_missing_is_named() {
    for (text, what, name) in [
        ("ModuleNotFoundError: No module named 'requests'", What::Module, "requests"),
        ("Error: Cannot find module 'left-pad'", What::Module, "left-pad"),
        ("Module not found: Error: Can't resolve './rates' in '/app/src'", What::Module, "./rates"),
        ("error[E0432]: unresolved import `rates`", What::Module, "rates"),
        ("ERROR: No matching distribution found for pywin32==311", What::Package, "pywin32==311"),
        ("E: Unable to locate package libfoo-dev", What::Package, "libfoo-dev"),
        ("E: Package 'libfoo' has no installation candidate", What::Package, "libfoo"),
        ("error NU1101: Unable to find package Shop.Rates. No packages exist", What::Package, "Shop.Rates"),
        ("npm error notarget No matching version found for rates@9.9.9.", What::Package, "rates@9.9.9"),
        (
            "Unable to resolve action `owner/name@v9`, unable to find version `v9`",
            What::Package,
            "owner/name@v9",
        ),
        ("Error: ENOENT: no such file or directory, open 'rates.json'", What::File, "rates.json"),
        ("tar: out: Cannot open: No such file or directory", What::File, "out"),
        ("cat: rates.json: No such file or directory", What::File, "rates.json"),
        ("/home/x.sh: line 1: shopctl: command not found", What::Command, "shopctl"),
        ("/bin/sh: 1: shopctl: not found", What::Command, "shopctl"),
        ("The term 'shopctl' is not recognized as a name of a cmdlet", What::Command, "shopctl"),
        ("exec: \"shopctl\": executable file not found in $PATH", What::Command, "shopctl"),
        ("Error: spawn shopctl ENOENT", What::Command, "shopctl"),
        ("npm error Missing script: \"lint\"", What::Command, "lint"),
        ("##[error]Input required and not supplied: token", What::Secret, "token"),
        ("##[error]Input required and not supplied: path", What::Variable, "path"),
        (
            "Missing credentials for https://upload.pypi.org/legacy/",
            What::Secret,
            "https://upload.pypi.org/legacy/",
        ),
        ("User: x is not authorized to perform: s3:PutObject on resource", What::Permission, "s3:PutObject"),
        ("git@github.com: Permission denied (publickey).", What::Permission, "publickey"),
        ("bash: ./run.sh: Permission denied", What::Permission, "./run.sh"),
        ("error: Environment variable not found: DATABASE_URL.", What::Variable, "DATABASE_URL"),
        ("run.sh: line 3: API_HOST: unbound variable", What::Variable, "API_HOST"),
        ("The API_HOST environment variable is not set", What::Variable, "API_HOST"),
    ] {
        assert_missing(text, what, name);
    }
}

// === What holds for all ===

#[test]
fn empty_facts_are_an_empty_document() {
    let facts = Facts::of(["all is well", "", "   "]);
    assert_eq!(serde_json::to_string(&facts).unwrap(), "{}");
    assert_eq!(serde_json::from_str::<Facts>("{}").unwrap(), facts);
}

#[test]
fn facts_are_the_same_after_writing_and_reading_them() {
    for fixture in FIXTURES {
        let facts = Facts::of(fixture.lines());
        let document = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&document).unwrap(), facts, "{document}");
    }
}

#[test]
fn secrets_are_taken_out_and_hidden_characters_are_spelt_out() {
    let token = format!("ghp_{}", "0123456789abcdefghijABCDEFGHIJ012345");
    let lines = [
        format!("FAILED tests/test_a.py::test_a[{token}]"),
        format!("src/a.c:1:2: error: {}{token}", "x".repeat(170)),
        format!("Cannot find module '{token}'"),
        "src/b.c:1:2: error: a\u{202e}b".to_owned(),
    ];
    let facts = Facts::of(lines.iter().map(String::as_str));
    assert_eq!((facts.failing_tests.len(), facts.places.len(), facts.missing.len()), (1, 2, 1));
    let document = serde_json::to_string(&facts).unwrap();
    assert!(!document.contains("ghp_") && !document.contains('\u{202e}'), "{document}");
}

/// Fails if facts are larger than they may be.
fn assert_bounded(facts: &Facts) {
    assert!(
        facts.failing_tests.len() <= TESTS_MAX
            && facts.failing_tests.len() as u32 <= facts.failing_tests_total
    );
    assert!(facts.places.len() <= PLACES_MAX && facts.missing.len() <= MISSING_MAX);
    let names = facts
        .failing_tests
        .iter()
        .map(|test| &test.name)
        .chain(facts.missing.iter().map(|thing| &thing.name));
    let of_places =
        facts.places.iter().flat_map(|place| [Some(&place.path), place.message.as_ref()]).flatten();
    for text in names.chain(of_places) {
        assert!(!text.is_empty() && text.chars().count() <= TEXT_MAX, "{text:?}");
    }
}

/// Lines of fixtures and others, in any order.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let known = (0..FIXTURES.len(), 0..40_usize)
        .prop_map(|(fixture, line)| FIXTURES[fixture].lines().nth(line).unwrap_or_default().to_owned());
    let any = "(\\PC|[\u{0}-\u{1f}:()/.\\-0-9 ]){0,80}";
    prop::collection::vec(prop_oneof![3 => known, 1 => any], 0..60)
}

proptest! {
    #[test]
    fn facts_of_any_lines_are_bounded_and_distinct(lines in lines()) {
        let facts = Facts::of(lines.iter().map(String::as_str));
        assert_bounded(&facts);
        for (at, test) in facts.failing_tests.iter().enumerate() {
            prop_assert!(!facts.failing_tests[..at].contains(test));
        }
        for (at, place) in facts.places.iter().enumerate() {
            prop_assert!(!facts.places[..at].contains(place));
        }
    }

    #[test]
    fn harmless_lines_in_between_change_nothing(
        fixture in 0..FIXTURES.len(),
        places in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize), 0..8),
    ) {
        // Nothing tells the name of a case of Catch2 from another line.
        prop_assume!(FIXTURES[fixture] != fixture!("catch2"));
        let harmless = ["", "Downloading layer 3 of 9", "Done in a moment", "2 files are up to date"];
        let whole: Vec<&str> = FIXTURES[fixture].lines().collect();
        let mut lines = whole.clone();
        for (place, line) in places {
            lines.insert(place.index(lines.len() + 1), harmless[line]);
        }
        // Where a message stands on the line behind its place, another line may take its part.
        let without_messages = |mut facts: Facts| {
            facts.places.iter_mut().for_each(|place| place.message = None);
            facts
        };
        prop_assert_eq!(without_messages(Facts::of(lines)), without_messages(Facts::of(whole)));
    }

    #[test]
    fn tests_keep_the_order_of_their_lines(numbers in prop::collection::vec(0..1000_u32, 1..40)) {
        let lines: Vec<String> = numbers.iter().map(|number| format!("--- FAIL: TestOf{number} (0.00s)")).collect();
        let mut expected: Vec<String> = Vec::new();
        for number in numbers {
            let name = format!("TestOf{number}");
            if !expected.contains(&name) {
                expected.push(name);
            }
        }
        let facts = Facts::of(lines.iter().map(String::as_str));
        prop_assert_eq!(facts.failing_tests.into_iter().map(|test| test.name).collect::<Vec<_>>(), expected);
    }
}
