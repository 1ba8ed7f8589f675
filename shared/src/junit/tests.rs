use super::{ATTRIBUTES_MAX, CASES_MAX, Counts, DEPTH_MAX, NAMES_BYTES_MAX, Outcome, Report};
use crate::facts::{Facts, TEXT_MAX};
use crate::{Code, Error};
use proptest::prelude::*;
use std::fmt::Write;

fn read(xml: &str) -> Report {
    Report::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{xml}"))
}

/// The tests of a report with their outcomes.
fn outcomes(xml: &str) -> Vec<(String, Outcome)> {
    read(xml).tests.into_iter().map(|test| (test.name, test.outcome)).collect()
}

/// The failing tests of a report are, by name, those that a log of the same run names.
fn the_same(xml: &str, log: &str) {
    let report = read(xml);
    let of_report: Vec<&str> = report.names(Outcome::Failed).collect();
    let facts = Facts::of(log.lines());
    let mut of_log: Vec<&str> = facts.failing_tests.iter().map(|test| test.name.as_str()).collect();
    of_log.sort_unstable();
    assert!(!of_log.is_empty(), "the log names none: {log}");
    assert_eq!(of_report, of_log);
}

fn refused(xml: &[u8]) -> String {
    let error = Report::parse(xml).expect_err("it is refused");
    assert_eq!(error.code(), Code::Unprocessable);
    error.to_string()
}

#[test]
fn a_test_of_pytest_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="2" skipped="1" tests="5" time="1.5" timestamp="2026-11-29T06:00:00" hostname="runner">
<testcase classname="tests.api.test_cart.TestCart" name="test_adds[a.b-&lt;1&gt;]" time="0.01"><failure message="assert 1 == 2">def test_adds</failure></testcase>
<testcase classname="tests.test_load" name="test_loads" time="0.5"><failure message="x">y</failure></testcase>
<testcase classname="tests.test_load" name="test_skips" time="0"><skipped type="pytest.skip" message="no">z</skipped></testcase>
<testcase classname="tests.test_load" name="test_passes" time="0.02" />
<testcase classname="" name="tests.test_broken" time="0"><error message="collection failure">ImportError</error></testcase>
</testsuite></testsuites>"#,
        "=== short test summary info ===
FAILED tests/api/test_cart.py::TestCart::test_adds[a.b-<1>] - assert 1 == 2
FAILED tests/test_load.py::test_loads - AssertionError
ERROR tests/test_broken.py
=== 2 failed, 1 passed, 1 skipped, 1 error in 1.50s ===",
    );
}

#[test]
fn a_test_of_pytest_whose_report_has_the_file_is_in_it() {
    the_same(
        r#"<testsuites><testsuite name="mine"><testcase classname="checks.Numbers.TestAdd" name="test_it" file="checks/Numbers.py" line="3" time="0.1"><failure/></testcase></testsuite></testsuites>"#,
        "FAILED checks/Numbers.py::Numbers::TestAdd::test_it - x"
            .replace("Numbers::TestAdd", "TestAdd")
            .as_str(),
    );
}

#[test]
fn a_test_of_unittest_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<testsuites><testsuite name="tests.test_cart.TestCart-20261129060000" tests="1" file="tests/test_cart.py" time="0.1"><testcase classname="tests.test_cart.TestCart" name="test_adds" time="0.1" file="tests/test_cart.py" line="9"><failure type="AssertionError" message="1 != 2">x</failure></testcase></testsuite></testsuites>"#,
        "FAIL: test_adds (tests.test_cart.TestCart.test_adds)\n----\nFAILED (failures=1)",
    );
}

#[test]
fn a_test_of_jest_is_the_same_in_a_report_and_in_a_log() {
    // As jest-junit writes by default.
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuites name="jest tests" tests="3" failures="3" errors="0" time="1.2">
<testsuite name="the cart" errors="0" failures="1" skipped="0" timestamp="2026-11-29T06:00:00" time="0.5" tests="1"><testcase classname="the cart adds an item" name="the cart adds an item" time="0.01"><failure>Error</failure></testcase></testsuite>
<testsuite name="undefined" tests="1"><testcase classname=" stands alone" name=" stands alone" time="0.01"><failure>Error</failure></testcase></testsuite>
<testsuite name="src/broken.test.ts" tests="1"><testcase classname="Test suite failed to run" name="src/broken.test.ts" time="0"><error>x</error></testcase></testsuite>
</testsuites>"#,
        "FAIL src/broken.test.ts
  ● Test suite failed to run
FAIL src/cart.test.ts
  ● the cart › adds an item
  ● stands alone
Tests:       2 failed, 2 total",
    );
    // With `classNameTemplate: "{classname}"`, `titleTemplate: "{title}"` and `ancestorSeparator: " › "`.
    the_same(
        r#"<testsuites name="jest tests"><testsuite name="the cart"><testcase classname="the cart › when full" name="refuses" time="0.01"><failure/></testcase></testsuite></testsuites>"#,
        "  ● the cart › when full › refuses\nTests:       1 failed, 1 total",
    );
}

#[test]
fn a_test_of_vitest_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8" ?><testsuites name="vitest tests" tests="1" failures="1" errors="0" time="0.3"><testsuite name="src/cart.test.ts" timestamp="2026-11-29T06:00:00.000Z" hostname="runner" tests="1" failures="1" errors="0" skipped="0" time="0.01"><testcase classname="src/cart.test.ts" name="the cart &gt; adds an item" time="0.005"><failure message="x" type="AssertionError">y</failure></testcase></testsuite></testsuites>"#,
        " FAIL  src/cart.test.ts > the cart > adds an item\n      Tests  1 failed (1)",
    );
}

#[test]
fn a_test_of_mocha_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<testsuites name="Mocha Tests" time="0.1" tests="2" failures="2"><testsuite name="Root Suite" tests="0"></testsuite>
<testsuite name="when full" timestamp="2026-11-29T06:00:00" tests="1" file="/w/test/cart.js" time="0.1" failures="1"><testcase name="the cart when full refuses" time="0.1" classname="refuses"><failure message="x" type="AssertionError"><![CDATA[AssertionError]]></failure></testcase></testsuite>
<testsuite name="the cart" tests="1"><testcase name="the cart adds" time="0.1" classname="adds"><failure/></testcase></testsuite></testsuites>"#,
        "  2 failing

  1) the cart
       adds:

  2) the cart
       when full
         refuses:
",
    );
}

#[test]
fn a_test_of_node_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="the cart" time="0.1" disabled="0" errors="0" tests="1" failures="1" skipped="0" hostname="runner"><testcase name="adds an item" time="0.001" classname="test" failure="x"><failure type="testCodeFailure" message="x">y</failure></testcase></testsuite><!-- tests 1 --></testsuites>"#,
        "✖ failing tests:\n✖ adds an item (1.2ms)\nℹ fail 1",
    );
}

#[test]
fn a_test_of_bun_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<testsuites name="bun test" tests="1" assertions="1" failures="1" skipped="0" time="0.01"><testsuite name="cart.test.ts" file="cart.test.ts" tests="1"><testsuite name="the cart" file="cart.test.ts" line="3"><testcase name="adds" classname="the cart" time="0.001" file="cart.test.ts" line="4" assertions="1"><failure type="AssertionError"/></testcase></testsuite></testsuite></testsuites>"#,
        "(fail) the cart > adds [1.23ms]\n 1 fail",
    );
}

#[test]
fn a_test_of_playwright_has_all_of_its_name_but_the_line() {
    let xml = r#"<testsuites id="" name="" tests="2" failures="1" skipped="0" errors="0" time="3.2"><testsuite name="cart.spec.ts" timestamp="2026-11-29T06:00:00.000Z" hostname="chromium" tests="2" failures="1" skipped="0" time="3" errors="0"><testcase name="the cart › adds" classname="cart.spec.ts" time="1.5"><failure message="cart.spec.ts:4:5 adds" type="FAILURE"><![CDATA[x]]></failure></testcase></testsuite></testsuites>"#;
    let name = "[chromium] › cart.spec.ts › the cart › adds".to_owned();
    assert_eq!(outcomes(xml), [(name, Outcome::Failed)]);
}

#[test]
fn a_test_of_go_is_the_same_in_a_report_and_in_a_log() {
    let log =
        "--- FAIL: TestCart (0.00s)\n    --- FAIL: TestCart/when_full (0.00s)\n--- FAIL: TestLoad (0.00s)";
    // As go-junit-report writes, where a parent fails with its subtests.
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuites tests="4" failures="3"><testsuite name="example.org/shop/cart" tests="4" failures="3" errors="0" id="0" hostname="runner" time="0.005" timestamp="2026-11-29T06:00:00Z">
<testcase name="TestCart" classname="example.org/shop/cart" time="0.000"><failure message="Failed"></failure></testcase>
<testcase name="TestCart/when_full" classname="example.org/shop/cart" time="0.000"><failure message="Failed"><![CDATA[    cart_test.go:9: full]]></failure></testcase>
<testcase name="TestCart/when_empty" classname="example.org/shop/cart" time="0.000"></testcase>
<testcase name="TestLoad" classname="example.org/shop/cart" time="0.000"><failure message="Failed"></failure></testcase></testsuite></testsuites>"#,
        log,
    );
    // As gotestsum and go-junit-report 1 write: the class is the last part of the package.
    the_same(
        r#"<testsuites><testsuite tests="3" failures="3" time="0.005" name="shop"><properties><property name="go.version" value="go1.25"></property></properties>
<testcase classname="shop" name="TestCart" time="0.000"><failure message="Failed" type=""></failure></testcase><testcase classname="shop" name="TestCart/when_full" time="0.000"><failure message="Failed" type=""></failure></testcase><testcase classname="shop" name="TestLoad" time="0.000"><failure message="Failed" type=""></failure></testcase></testsuite></testsuites>"#,
        log,
    );
}

#[test]
fn a_test_of_nextest_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuites name="nextest-run" tests="2" failures="1" errors="0" uuid="45c50042-482e-477e-88a2-60cfcc3eaf95" timestamp="2026-11-29T06:00:00.000+00:00" time="0.023"><testsuite name="shop::cart" tests="2" disabled="0" errors="0" failures="1">
<testcase name="full::refuses" classname="shop::cart" timestamp="2026-11-29T06:00:00.000+00:00" time="0.004"><failure type="test failure">thread panicked</failure><rerunFailure type="test failure">again<system-out>x</system-out></rerunFailure></testcase>
</testsuite></testsuites>"#,
        "     Summary [   0.023s] 2 tests run: 1 passed, 1 failed, 0 skipped\n        FAIL [   0.004s] (1/2) shop::cart full::refuses",
    );
}

#[test]
fn a_test_of_libtest_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuites><testsuite name="test" package="test" id="0" errors="0" failures="2" tests="2" skipped="0" ><testcase classname="cart::tests" name="refuses" time="0.1"><failure type="assert"/></testcase><testcase classname="integration" name="stands_alone" time="0.1"><failure type="assert"/></testcase></testsuite></testsuites>"#,
        "test cart::tests::refuses ... FAILED\ntest stands_alone ... FAILED\ntest result: FAILED. 0 passed; 2 failed;",
    );
}

#[test]
fn a_test_of_surefire_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd" version="3.0.2" name="org.example.CartTest" time="1,000.05" tests="3" errors="0" skipped="0" failures="1"><properties><property name="java.version" value="21"/></properties>
<testcase name="adds" classname="org.example.CartTest" time="0.02"><failure message="expected" type="AssertionFailedError"><![CDATA[at org.example.CartTest]]></failure><rerunFailure message="x" type="y"><stackTrace>z</stackTrace></rerunFailure></testcase>
<testcase name="loads(String)[1]" classname="org.example.CartTest" time="0.02"><failure/></testcase>
<testcase name="flickers" classname="org.example.CartTest" time="1,000.01"><flakyFailure message="x" type="y"><stackTrace>z</stackTrace></flakyFailure></testcase></testsuite>"#,
        "[ERROR] org.example.CartTest.adds -- Time elapsed: 0.02 s <<< FAILURE!
[ERROR] org.example.CartTest.loads(String)[1] -- Time elapsed: 0.02 s <<< FAILURE!
[ERROR] Tests run: 3, Failures: 2, Errors: 0, Skipped: 0",
    );
}

#[test]
fn a_test_of_gradle_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuite name="org.example.CartTest" tests="3" skipped="0" failures="3" errors="0" timestamp="2026-11-29T06:00:00" hostname="runner" time="0.05"><properties/>
<testcase name="adds()" classname="org.example.CartTest" time="0.02"><failure message="x" type="AssertionFailedError">y</failure></testcase>
<testcase name="refuses()" classname="org.example.CartTest$WhenFull" time="0.02"><failure/></testcase>
<testcase name="old" classname="org.example.CartTest" time="0.02"><failure/></testcase><system-out><![CDATA[]]></system-out></testsuite>"#
            .replace(r#"<testcase name="refuses()""#, r#"</testsuite><testsuite name="org.example.CartTest$WhenFull" hostname="runner"><testcase name="refuses()""#)
            .replace(r#"<testcase name="old""#, r#"</testsuite><testsuite name="org.example.CartTest" hostname="runner"><testcase name="old""#)
            .as_str(),
        "CartTest > adds() FAILED\nCartTest > WhenFull > refuses() FAILED\norg.example.CartTest > old FAILED\n3 tests completed, 3 failed",
    );
}

#[test]
fn a_test_of_dotnet_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<testsuites><testsuite name="Shop.Tests.dll" tests="1" skipped="0" failures="1" errors="0" time="0.5" timestamp="2026-11-29T06:00:00" hostname="runner" id="0" package="Shop.Tests.dll"><properties /><testcase classname="Shop.Tests.CartTests" name="Adds(count: 1)" time="0.012"><failure type="failure" message="Assert.Equal() Failure">at x</failure></testcase><system-out>Test Framework Informational Messages:</system-out><system-err /></testsuite></testsuites>"#,
        "  Failed Shop.Tests.CartTests.Adds(count: 1) [12 ms]\nFailed!  - Failed:     1, Passed:     0",
    );
}

#[test]
fn a_test_of_phpunit_and_of_pest_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuites><testsuite name="/w/phpunit.xml" tests="1"><testsuite name="Unit" tests="1"><testsuite name="App\Tests\CartTest" file="/w/tests/CartTest.php" tests="1"><testcase name="testAdds with data set #0" file="/w/tests/CartTest.php" line="9" class="App\Tests\CartTest" classname="App.Tests.CartTest" assertions="1" time="0.002"><failure type="PHPUnit\Framework\ExpectationFailedException">x</failure></testcase></testsuite></testsuite></testsuite></testsuites>"#,
        "There was 1 failure:\n\n1) App\\Tests\\CartTest::testAdds with data set #0\n\nTests: 1, Assertions: 1, Failures: 1.",
    );
    the_same(
        r#"<testsuites><testsuite name="Tests\Unit\CartTest" file="tests/Unit/CartTest.php" tests="1"><testcase name="it adds" file="tests/Unit/CartTest.php::it adds" class="Tests\Unit\CartTest" classname="Tests.Unit.CartTest" assertions="1" time="0.002"><failure/></testcase></testsuite></testsuites>"#,
        "   FAILED  Tests\\Unit\\CartTest > it adds   \n  Tests:    1 failed (1 assertions)",
    );
}

#[test]
fn a_test_of_ctest_and_of_google_test_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuite name="Linux-c++" tests="2" failures="1" disabled="0" skipped="0" hostname="runner" time="1" timestamp="2026-11-29T06:00:00"><testcase name="cart" classname="cart" time="0.01" status="fail"><failure message="Failed"/><properties/><system-out>x</system-out></testcase><testcase name="load" classname="load" time="0.01" status="run"/></testsuite>"#,
        "The following tests FAILED:\n\t  1 - cart (Failed)\nErrors while running CTest",
    );
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuites tests="3" failures="2" disabled="1" errors="0" time="0.01" timestamp="2026-11-29T06:00:00.000" name="AllTests"><testsuite name="Cart" tests="2"><testcase name="Adds" file="cart_test.cc" line="9" status="run" result="completed" time="0." timestamp="2026-11-29T06:00:00.000" classname="Cart"><failure message="x" type=""><![CDATA[y]]></failure></testcase><testcase name="DISABLED_Later" status="notrun" result="suppressed" time="0." classname="Cart" /></testsuite><testsuite name="Sizes/Cart"><testcase name="Fits/0" value_param="3" status="run" result="completed" time="0." classname="Sizes/Cart"><failure/></testcase></testsuite></testsuites>"#,
        "[  FAILED  ] Cart.Adds (1 ms)\n[  FAILED  ] Sizes/Cart.Fits/0, where GetParam() = 3\n 2 FAILED TESTS",
    );
}

#[test]
fn a_test_of_rspec_and_of_minitest_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0" encoding="UTF-8"?><testsuite name="rspec" tests="1" skipped="0" failures="1" errors="0" time="0.1" timestamp="2026-11-29T06:00:00+00:00" hostname="runner"><properties><property name="seed" value="1"/></properties><testcase classname="spec.cart_spec" name="Cart adds an item" file="./spec/cart_spec.rb" time="0.003"><failure message="x" type="RSpec::Expectations::ExpectationNotMetError">y</failure></testcase></testsuite>"#,
        "Failed examples:\n\nrspec ./spec/cart_spec.rb:12 # Cart adds an item\n\n1 example, 1 failure",
    );
    the_same(
        r#"<testsuites><testsuite name="CartTest" filepath="test/cart_test.rb" skipped="0" failures="1" errors="0" tests="1" assertions="1" time="0.01"><testcase name="test_adds" lineno="5" classname="CartTest" assertions="1" time="0.01" file="test/cart_test.rb"><failure type="test_adds" message="x">y</failure></testcase></testsuite></testsuites>"#,
        "  1) Failure:\nCartTest#test_adds [test/cart_test.rb:5]:\n\n1 runs, 1 assertions, 1 failures, 0 errors, 0 skips",
    );
}

#[test]
fn a_test_of_exunit_and_of_swift_is_the_same_in_a_report_and_in_a_log() {
    the_same(
        r#"<?xml version="1.0"?><testsuites><testsuite errors="0" failures="1" name="Elixir.Shop.CartTest" tests="1" time="0.1"><testcase classname="Elixir.Shop.CartTest" file="test/cart_test.exs" name="test adds an item" time="0.001"><failure message="error: x">y</failure></testcase></testsuite></testsuites>"#,
        "  1) test adds an item (Shop.CartTest)\n     test/cart_test.exs:5\n\n1 test, 1 failure",
    );
    the_same(
        r#"<testsuites><testsuite name="TestResults" errors="0" tests="1" failures="1" skipped="0" time="0.1"><testcase classname="ShopTests.CartTests" name="testAdds" time="0.1"><failure message="failed"></failure></testcase></testsuite></testsuites>"#,
        "Test Case '-[ShopTests.CartTests testAdds]' failed (0.1 seconds).",
    );
}

#[test]
fn a_test_that_passed_on_retry_is_told_from_one_that_failed_in_all_tries() {
    let of = |inside: &str| {
        outcomes(&format!(
            r#"<testsuite name="s"><testcase classname="C" name="t">{inside}</testcase></testsuite>"#
        ))[0]
            .1
    };
    assert_eq!(of(""), Outcome::Passed);
    assert_eq!(of("<flakyFailure><stackTrace/></flakyFailure>"), Outcome::PassedOnRetry);
    assert_eq!(of("<flakyError/>"), Outcome::PassedOnRetry);
    assert_eq!(of("<failure/><rerunFailure/>"), Outcome::Failed);
    assert_eq!(of("<error/><rerunError/>"), Outcome::Failed);
    assert_eq!(of("<skipped/>"), Outcome::Skipped);
    assert_eq!(of("<system-out><failure/></system-out>"), Outcome::Passed, "what it printed is no result");
}

#[test]
fn of_the_tries_of_one_suite_the_last_counts_and_of_two_suites_the_worst() {
    let case = |inside: &str| format!(r#"<testcase classname="o.C" name="t()" time="1">{inside}</testcase>"#);
    let (failed, passed) = (case("<failure/>"), case(""));
    let suite =
        |cases: &[&str]| format!(r#"<testsuite name="o.C" hostname="h">{}</testsuite>"#, cases.concat());
    let of = |suites: &[String]| outcomes(&format!("<testsuites>{}</testsuites>", suites.concat()))[0].1;
    assert_eq!(of(&[suite(&[&failed, &passed])]), Outcome::PassedOnRetry);
    assert_eq!(of(&[suite(&[&failed, &failed])]), Outcome::Failed);
    assert_eq!(of(&[suite(&[&passed, &failed])]), Outcome::Failed);
    assert_eq!(of(&[suite(&[&failed, &case("<skipped/>")])]), Outcome::Failed);
    assert_eq!(of(&[suite(&[&failed]), suite(&[&passed])]), Outcome::Failed);
    assert_eq!(of(&[suite(&[&passed]), suite(&[&case("<skipped/>")])]), Outcome::Passed);
}

#[test]
fn reports_one_after_another_are_one() {
    let one = |name: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"s\"><testcase classname=\"C\" name=\"{name}\" time=\"0.5\"/></testsuite>\n"
        )
    };
    let counts = read(&[one("a"), one("b"), one("c")].concat()).counts();
    assert_eq!(counts, Counts { passed: 3, seconds: 1.5, ..Counts::default() });
    assert_eq!(read("\u{feff}<testsuites/>").tests, []);
    assert_eq!(read(&["\u{feff}", &one("a"), "\u{feff}", &one("b")].concat()).tests.len(), 2);
}

#[test]
fn a_document_type_and_entities_of_ones_own_are_refused_with_the_line() {
    let bomb = r#"<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;">]>
<testsuite name="&lol2;"/>"#;
    assert!(refused(bomb.as_bytes()).starts_with("line 2 of the report: a document type is refused"));
    let outside = "<!DOCTYPE t SYSTEM \"file:///etc/passwd\"><testsuite/>";
    assert!(refused(outside.as_bytes()).contains("document type"));
    let in_text = "<testsuite>\n<testcase name='t'><failure>&lol;</failure></testcase></testsuite>";
    assert!(refused(in_text.as_bytes()).starts_with("line 2 of the report: &lol; is no entity"));
    let in_attribute = "<testsuite>\n\n<properties><property value='&lol;'/></properties></testsuite>";
    assert!(refused(in_attribute.as_bytes()).starts_with("line 3 of the report: "));
    let known = "<testsuite><testcase classname='C' name='&lt;&#65;&#x42;&amp;&quot;&apos;&gt;'><failure>&lt;&#10;</failure></testcase></testsuite>";
    assert_eq!(outcomes(known)[0].0, "C.<AB&\"'>");
}

#[test]
fn what_is_no_report_is_refused_with_the_line() {
    for (bytes, line, reason) in [
        (&b""[..], 1, "no <testsuites>"),
        (b"{\"tests\": 3}", 1, "no <testsuites>"),
        (b"<html><testcase name='x'/></html>", 1, "no <testsuites>"),
        (b"<testsuite>\n<testcase>\n</testsuite>", 3, "is no XML"),
        (b"<testsuite>\n<testcase/>", 2, "breaks off"),
        (b"<testsuite>\n<testcase name=>", 2, "is no XML"),
        (b"<testsuite>\n<testcase name='\xff'/></testsuite>", 2, "UTF-8"),
        (b"<?xml version='1.0' encoding='utf-16'?><testsuite/>", 1, "names the encoding utf-16"),
    ] {
        let told = refused(bytes);
        assert!(told.starts_with(&format!("line {line} of the report: ")) && told.contains(reason), "{told}");
    }
}

#[test]
fn depth_attributes_cases_and_names_are_bounded() {
    let deep = |depth| format!("{}{}", "<testsuite>".repeat(depth), "</testsuite>".repeat(depth));
    read(&deep(DEPTH_MAX));
    assert!(refused(deep(DEPTH_MAX + 1).as_bytes()).contains("nested deeper than 64"));
    let wide = |count: usize| {
        let attributes: String = (0..count).fold(String::new(), |mut all, n| {
            let _ = write!(all, " a{n}='x'");
            all
        });
        format!("<testsuite{attributes}/>")
    };
    read(&wide(ATTRIBUTES_MAX));
    assert!(refused(wide(ATTRIBUTES_MAX + 1).as_bytes()).contains("more than 64 attributes"));
    let many = |count: usize| {
        let cases: String = (0..count).map(|n| format!("<testcase name='t{n}'/>")).collect();
        format!("<testsuite>{cases}</testsuite>")
    };
    assert_eq!(read(&many(CASES_MAX)).tests.len(), CASES_MAX);
    assert!(refused(many(CASES_MAX + 1).as_bytes()).contains("more than 20000 test cases"));
    let wordy: String = (0..NAMES_BYTES_MAX / 150)
        .map(|n| format!("<testcase name='{n:06} {}'/>", "x ".repeat(80)))
        .collect();
    assert!(refused(format!("<testsuite>{wordy}</testsuite>").as_bytes()).contains("names of its tests"));
    let long = format!("<testsuite><testcase name='{}' time='-1'/></testsuite>", "x ".repeat(10_000));
    assert_eq!(read(&long).tests[0].name.chars().count(), TEXT_MAX);
}

#[test]
fn a_name_holds_no_secret_and_hides_nothing() {
    let xml = format!(
        "<testsuite><testcase classname='C' name='t[token=ghp_{}]&#x202e;'/></testsuite>",
        "a1".repeat(18)
    );
    let name = &outcomes(&xml)[0].0;
    assert!(!name.contains("ghp_") && name.ends_with(r"\u{202e}"), "{name}");
}

#[test]
fn times_that_are_none_count_as_nothing() {
    for time in ["", "x", "-1", "NaN", "inf", "1e300"] {
        let xml = format!("<testsuite><testcase name='t' time='{time}'/></testsuite>");
        assert_eq!(read(&xml).counts().seconds, 0.0, "{time}");
    }
}

/// A well-formed report of any elements.
fn element() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "error",
        "skipped",
        "flakyFailure",
        "rerunFailure",
        "properties",
        "property",
        "system-out",
        "x",
    ]);
    let attribute =
        prop::sample::select(vec!["name", "classname", "class", "file", "time", "status", "id", "hostname"]);
    let value = "[a-zA-Z0-9./\\\\ :#$\\[\\]()›é-]{0,12}";
    let open = (name, prop::collection::vec((attribute, value), 0..4));
    let text = "[a-z &&[^&]]{0,8}|<!\\[CDATA\\[[a-z<>]{0,5}\\]\\]>|<!-- x -->|&lt;";
    let leaf = text.prop_map(|text| text.replace('&', "&amp;").replace("&amp;lt;", "&lt;"));
    leaf.prop_recursive(5, 60, 6, move |inside| {
        (open.clone(), prop::collection::vec(inside, 0..6)).prop_map(|((name, attributes), inside)| {
            let attributes: String =
                attributes.into_iter().map(|(key, value)| format!(" {key}=\"{value}\"")).collect();
            format!("<{name}{attributes}>{}</{name}>", inside.concat())
        })
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_with_a_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = Report::parse(&bytes) {
            prop_assert!(matches!(error, Error::ReportInvalid { line, .. } if line >= 1), "{}", error);
        }
    }

    #[test]
    fn a_well_formed_report_is_read_and_its_names_are_bounded(inside in element()) {
        let report = read(&format!("<testsuites>{inside}</testsuites>"));
        let counts = report.counts();
        let all = counts.passed + counts.passed_on_retry + counts.failed + counts.skipped;
        prop_assert_eq!(all, report.tests.len() as u64);
        prop_assert!(counts.seconds >= 0.0 && counts.seconds.is_finite());
        for test in &report.tests {
            prop_assert!(!test.name.is_empty() && test.name.chars().count() <= TEXT_MAX);
        }
        prop_assert!(report.tests.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn a_report_that_breaks_off_is_never_taken_for_whole(inside in element(), share in 0.0..1.0_f64) {
        let whole = format!("<testsuites>{inside}</testsuites>");
        let mut end = (whole.len() as f64 * share) as usize;
        while !whole.is_char_boundary(end) { end -= 1; }
        prop_assert!(Report::parse(&whole.as_bytes()[..end]).is_err());
    }
}
