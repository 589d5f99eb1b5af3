#include "results/junit.h"

#include <criterion/criterion.h>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdlib.h>
#include <string.h>

#include "results/readable.h"
#include "results/verdict.h"
#include "support.h"

/* The record as a parsed document, which holds against tests/data/junit.xsd. Freed by the caller. */
static xmlDocPtr make_document(const struct record *record) {
    struct results_error error = {""};
    char *text = NULL, *schema_path = NULL;
    size_t size_bytes = 0;
    cr_assert(junit_format(record, &text, &size_bytes, &error), "%s", error.message);
    cr_assert_eq(strlen(text), size_bytes, "no zero within");
    xmlDocPtr document = xmlReadMemory(text, (int)size_bytes, "junit.xml", NULL, XML_PARSE_NONET);
    cr_assert_not_null(document, "no XML:\n%s", text);
    cr_assert(asprintf(&schema_path, "%s/tests/data/junit.xsd", getenv("VAEMARK_SOURCE")) > 0);
    xmlSchemaParserCtxtPtr parser = xmlSchemaNewParserCtxt(schema_path);
    xmlSchemaPtr schema = xmlSchemaParse(parser);
    cr_assert_not_null(schema, "%s", schema_path);
    xmlSchemaValidCtxtPtr validity = xmlSchemaNewValidCtxt(schema);
    cr_expect_eq(xmlSchemaValidateDoc(validity, document), 0, "against the schema:\n%s", text);
    xmlSchemaFreeValidCtxt(validity);
    xmlSchemaFree(schema);
    xmlSchemaFreeParserCtxt(parser);
    free(schema_path);
    free(text);
    return document;
}

static xmlNodePtr child(xmlNodePtr parent, const char *name, int index) {
    for (xmlNodePtr node = parent->children; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 && index-- == 0) {
            return node;
        }
    }
    return NULL;
}

static const char *attribute(xmlNodePtr node, const char *name) {
    char *value = (char *)xmlGetProp(node, BAD_CAST name);
    return value ? support_keep(value) : "";
}

static const char *content(xmlNodePtr node) {
    return support_keep(xmlNodeGetContent(node));
}

static void expect_contains(const char *text, const char *part) {
    cr_expect_not_null(strstr(text, part), "'%s' is not in:\n%s", part, text);
}

static xmlNodePtr suite_of(xmlDocPtr document) {
    return child(xmlDocGetRootElement(document), "testsuite", 0);
}

Test(junit, says_of_each_outcome_what_ci_servers_understand) {
    static const struct {
        const char *outcome, *element; /* "": a pass */
    } wanted[] = {{"passed", ""},
                  {"refused", ""},
                  {"improved", ""},
                  {"failed", "failure"},
                  {"invalid", "failure"},
                  {"regressed", "failure"},
                  {"crashed", "error"},
                  {"timed_out", "error"},
                  {"out_of_memory", "error"},
                  {"mistrusted", "error"},
                  {"unstable", "error"},
                  {"inconclusive", "error"},
                  {"evaporated", "error"},
                  {"unsupported", "skipped"},
                  {"skipped", "skipped"},
                  {"waived", "skipped"}};
    enum { COUNT = sizeof wanted / sizeof *wanted };
    static const char *const elements[] = {"failure", "error", "skipped"};
    struct record *record = record_create();
    for (int i = 0; i < COUNT; i++) {
        support_add_case(record, "m", "AutoencoderKL", "cpu", "plain", wanted[i].outcome)->reason = "why";
    }
    xmlDocPtr document = make_document(record);
    xmlNodePtr suite = suite_of(document);
    for (int i = 0; i < COUNT; i++) {
        xmlNodePtr testcase = child(suite, "testcase", i);
        for (int e = 0; e < 3; e++) {
            xmlNodePtr found = child(testcase, elements[e], 0);
            cr_expect_eq(found != NULL, strcmp(elements[e], wanted[i].element) == 0, "%s, %s", wanted[i].outcome,
                         elements[e]);
            if (found) {
                cr_expect_str_eq(attribute(found, "message"), "why");
                cr_expect_str_eq(attribute(found, "type"), wanted[i].outcome);
            }
        }
    }
    cr_expect_str_eq(attribute(suite, "tests"), "16");
    cr_expect_str_eq(attribute(suite, "failures"), "3");
    cr_expect_str_eq(attribute(suite, "errors"), "7");
    cr_expect_str_eq(attribute(suite, "skipped"), "3");
    xmlFreeDoc(document);
    record_free(record);
}

Test(junit, a_failure_says_which_check_and_how_to_repeat_it) {
    struct record *record = support_make_record();
    record_add_fact(record, "suite", "my.suite", "");
    record_add_fact(record, "run_started", "2026-11-24T17:19:47Z", "");
    struct case_row *row = (struct case_row *)record->tables[TABLE_CASES].rows;
    row[0].duration_ns = 1234567890;
    struct check_row *checks = record->tables[TABLE_CHECKS].rows;
    checks[1].value = 32.125;
    checks[1].bound = 90;
    checks[1].derivation = "the suite's";
    xmlDocPtr document = make_document(record);
    xmlNodePtr suite = suite_of(document), passed = child(suite, "testcase", 0), failed = child(suite, "testcase", 1);
    cr_expect_str_eq(attribute(suite, "name"), "my.suite");
    cr_expect_str_eq(attribute(suite, "timestamp"), "2026-11-24T17:19:47Z");
    cr_expect_str_eq(attribute(passed, "name"), "sd15-mini/cpu/fp32/plain/1x4x8x8");
    cr_expect_str_eq(attribute(passed, "classname"), "my_suite.AutoencoderKL.sd15-mini");
    cr_expect_str_eq(attribute(passed, "time"), "1.235");
    expect_contains(content(child(passed, "system-out", 0)), "check quality: passed");
    expect_contains(content(child(passed, "system-out", 0)), "95 % interval 1.20 ms to 1.38 ms");
    const char *text = content(child(failed, "failure", 0));
    expect_contains(text, "check quality: 32.1 dB, 90 dB are wanted");
    expect_contains(text, "found 32.125, bound 90: the suite's");
    expect_contains(text, "repeat: vaemark run --case 'naïve, \"quoted\"/cpu/fp32/plain/1x4x8x8'");
    cr_expect_str_eq(attribute(child(failed, "failure", 0), "message"), "first line\nsecond line");
    xmlNodePtr property = child(child(suite, "properties", 0), "property", 1);
    cr_expect_str_eq(attribute(property, "name"), "memory_total");
    cr_expect_str_eq(attribute(property, "value"), "64 GiB");
    xmlFreeDoc(document);
    record_free(record);
}

/* What a dying worker says may be anything; make_document() asserts that it is XML all the same. */
Test(junit, any_bytes_make_valid_xml) {
    struct record *record = record_create();
    char all[256] = "";
    for (int i = 1; i < 256; i++) {
        all[i - 1] = (char)i;
    }
    static const char *const hostile[] = {"]]><x>&amp;",
                                          "\xED\xA0\x80",
                                          "\xEF\xBF\xBE",
                                          "\xC0\x80",
                                          "\xF4\x90\x80\x80",
                                          "\xE2\x82",
                                          "\x1b[31mred\x07",
                                          "\xC2\x9B"
                                          "1m"};
    for (size_t i = 0; i <= sizeof hostile / sizeof *hostile; i++) {
        struct case_row *row = support_add_case(record, "m", "AutoencoderKL", "cpu", "plain", "crashed");
        row->reason = row->repro = row->id = row->model = i ? hostile[i - 1] : all;
        support_add_check(record, "", "", "failed", "");
        struct check_row *check = (struct check_row *)record->tables[TABLE_CHECKS].rows + i;
        check->case_id = check->message = row->id;
    }
    support_add_case(record, "m", "", "cpu", "plain", "")->id = "";
    record_add_fact(record, "run_started", "yesterday", "");
    xmlDocPtr document = make_document(record);
    expect_contains(attribute(child(child(suite_of(document), "testcase", 0), "error", 0), "message"), "\\x01\\x02");
    cr_expect_str_eq(attribute(child(child(suite_of(document), "testcase", 1), "error", 0), "message"), "]]><x>&amp;");
    expect_contains(content(child(child(suite_of(document), "testcase", 7), "error", 0)), "crashed: \\x1b[31mred\\x07");
    xmlFreeDoc(document);
    record_free(record);
}

Test(junit, an_empty_run_and_a_failing_harness_are_documents_too) {
    struct record *record = record_create();
    xmlDocPtr document = make_document(record);
    cr_expect_str_eq(attribute(suite_of(document), "tests"), "0");
    xmlFreeDoc(document);
    record_add_fact(record, "run_failure", "no space left", "");
    document = make_document(record);
    xmlNodePtr suite = suite_of(document);
    cr_expect_str_eq(attribute(suite, "tests"), "1");
    cr_expect_str_eq(attribute(suite, "errors"), "1");
    cr_expect_str_eq(attribute(child(child(suite, "testcase", 0), "error", 0), "message"), "no space left");
    xmlFreeDoc(document);
    record_free(record);
}

Test(junit, readable_keeps_what_is_readable) {
    static const struct {
        const char *text, *lines, *line;
    } wanted[] = {{"naïve ✓ 𝄞", "naïve ✓ 𝄞", "naïve ✓ 𝄞"},
                  {"a\r\n\tb\nc", "a\r\n\tb\nc", "a b c"},
                  {"\x1b[0m\xff", "\\x1b[0m\\xff", "\\x1b[0m\\xff"},
                  {"", "", ""}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char *lines = readable_text(wanted[i].text, true), *line = readable_text(wanted[i].text, false);
        cr_expect_str_eq(lines, wanted[i].lines);
        cr_expect_str_eq(line, wanted[i].line);
        free(lines);
        free(line);
    }
}
