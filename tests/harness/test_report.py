"""`vaemark report`: the page as a file (nothing from outside, well-formed, hostile texts), and as Chromium renders it."""
import html.parser
import os
import re
import shutil
import tempfile
import unittest

import support_chromium
from support_cli import BINARY, FAULTY, CommandLine, vaemark

try:
    import h5py
except ImportError:
    h5py = None

SUITE = """suite: mixed
description: what passes, is refused, fails, crashes
version: 1
decoders: [cpu]
timeout_s: 60
measure: {launches: 1, warmups: 2, min_samples: 6, max_samples: 6, budget_s: 0.05, min_sample_ms: 1, ring: 3}
cases:
  - models: [sd15-mini, taesd-mini]
    latents: ["4x4"]
    options: [plain, fuse_qkv]
    min_psnr_db: 90
    pictures: true
"""
VOID = {"meta", "link", "img", "br", "source"}
CRASHED = "sd15-mini/crash_in_decode/fp32/plain/1x4x4x4"


class Page(html.parser.HTMLParser):
    """Reads a page and holds what must hold of every one: each element is closed in its turn, ids are there once, links
    within the page lead somewhere, nothing comes from outside."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.faults, self.tags, self.texts = [], [], [], [], [], []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]
        self.faults += [f"id {name!r} is there twice" for name in set(self.ids) if self.ids.count(name) > 1]
        self.faults += [f"#{name} leads nowhere" for name in set(self.links) - set(self.ids)]

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        names = [name for name, _ in attributes]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
                if not value or re.search(r"\s", value):
                    self.faults.append(f"id {value!r}")
            elif name == "href" and value.startswith("#"):
                self.links.append(value[1:])
            elif name in ("src", "srcset", "href", "action", "data", "poster") and not value.startswith("data:"):
                self.faults.append(f"<{tag} {name}> wants {value[:60]!r}")
            elif name.startswith("on") or name == "style":
                self.faults.append(f"<{tag}> has {name}")
        if tag == "img" and not dict(attributes).get("alt"):
            self.faults.append("a picture without a text beside it")
        if tag == "th" and "scope" not in names:
            self.faults.append("a heading of a table without a scope")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-3:]}, line {self.getpos()[0]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def text(self):
        return "".join(self.texts)


def faulty(fault):
    return f"exec:'env VAEMARK_FAULT={fault} {BINARY} serve --backend plugin:{FAULTY}',name={fault}"


class MixedRun:
    """One run with everything in it and its report, made once for all tests."""

    def __init__(self, folder):
        suite = os.path.join(folder, "mixed.yaml")
        with open(suite, "w") as file:
            file.write(SUITE)
        self.path, self.folder = os.path.join(folder, "mixed.h5"), os.path.join(folder, "page")
        self.page = os.path.join(self.folder, "index.html")
        decoders = ["cpu", faulty("bias"), faulty("crash_in_decode"), faulty("accepts_fuse_on_tiny")]
        self.ran = vaemark("run", "--suite", suite, "--out", self.path, *[a for d in decoders for a in ("--decoder", d)])
        self.reported = vaemark("report", self.path, "--out", self.folder)


MIXED = []


def setUpModule():
    if FAULTY:
        folder = tempfile.mkdtemp(prefix="vaemark-report-")
        unittest.addModuleCleanup(shutil.rmtree, folder)
        MIXED.append(MixedRun(folder))


@unittest.skipUnless(FAULTY, "the plug-in with planted faults is not built")
class Report(CommandLine):
    def setUp(self):
        super().setUp()
        self.mixed = MIXED[0]
        self.assert_exit(self.mixed.ran, 1)
        self.assert_exit(self.mixed.reported, 0)

    def read(self, folder):
        """The page in a folder, with what must hold of all pages held."""
        with open(os.path.join(folder, "index.html"), encoding="utf-8") as file:
            text = file.read()
        page = Page(text)
        self.assertEqual(page.faults, [])
        self.assertNotIn("script", page.tags)
        return text, page

    def report(self, *runs, code=4):
        """Without gnuplot: drawing takes most of a report's time, and other tests look at what is drawn."""
        process = vaemark("report", *runs, "--out", self.path("page"), env={"PATH": "/nonexistent"})
        self.assert_exit(process, code)
        return self.read(self.path("page"))

    def test_the_page_has_every_failure_with_its_command(self):
        text, page = self.read(self.mixed.folder)
        self.assertIn(self.mixed.page, self.mixed.reported.stdout)
        rows = self.record(self.mixed.path)["cases"]
        failing = [row for row in rows if row["outcome"] not in ("passed", "refused")]
        self.assertGreaterEqual(len(failing), 6)
        shown = page.text()
        for row in failing:
            self.assertIn(row["repro"], shown)
            self.assertIn(row["reason"], shown)
        for row in rows:
            self.assertIn(row["id"], page.ids, "a link to the case leads somewhere")
        self.assertRegex(text, "<title>mixed: failed")
        self.assertIn("fuse-QKV went wrong in 1 of", shown)
        self.assertRegex(shown, r"\d\d facts on the run and the machine")
        self.assertGreaterEqual(len(re.findall("<dt>[a-z]", text)), 30)

    def test_messages_of_failed_checks_are_in_title_and_list(self):
        text, page = self.read(self.mixed.folder)
        failed = [check for check in self.record(self.mixed.path)["checks"] if check["outcome"] == "failed"]
        self.assertTrue(failed)
        for check in failed:
            self.assertIn(f'title="{check["name"]}: {check["message"]}"', text.replace("&#39;", "'"))
            self.assertIn(check["message"], page.text())

    def test_plots_and_pictures_are_in_the_page(self):
        text, page = self.read(self.mixed.folder)
        self.assertIn("data:image/svg+xml;base64,", text)
        pictures = [image for image in self.record(self.mixed.path)["images"]]
        self.assertEqual(text.count("data:image/png;base64,"), len(pictures))

    def test_several_runs_side_by_side(self):
        other = os.path.join(self.folder, "mixed.h5")
        shutil.copy(self.mixed.path, other)
        text, page = self.report(self.mixed.path, other)
        self.assertIn(f"mixed/{CRASHED}", page.ids)
        self.assertIn(f"mixed-2/{CRASHED}", page.ids)
        self.assertIn("In nothing that was recorded", page.text())
        wrong = vaemark("report", other, other, "--out", self.path("page"))
        self.assert_exit(wrong, 2)
        self.assertIn("given twice", wrong.stderr)
        missing = vaemark("report", other, self.path("no.h5"), "--out", self.path("none"))
        self.assert_exit(missing, 2)
        self.assertFalse(os.path.exists(self.path("none")), "all runs are read before anything is written")

    @unittest.skipUnless(h5py, "h5py is not installed")
    def test_a_hostile_file_stays_text(self):
        hostile = "</code></title></style>\"'><script>document.title='owned'</script><img src='http://x.invalid/a'>\x1b[2J"
        run = self.path("hostile.h5")
        with h5py.File(self.mixed.path) as source, h5py.File(run, "w") as copy:
            for name in source:
                source.copy(name, copy)
            for name, value in source.attrs.items():
                copy.attrs[name] = value
            for name in ("suite", "command_line", "cpu_model"):
                copy.attrs[name] = hostile
            copy.attrs["<b>"] = hostile
            for table, columns in {"cases": ("id", "model", "vae_type", "reason", "repro", "outcome", "options"),
                                   "checks": ("name", "message"), "images": ("kind",)}.items():
                for column in columns:
                    copy[table][column][0] = hostile
            for column in ("cases/id", "cases/model", "cases/options", "checks/name", "checks/message", "images/case_id"):
                copy[column][1] = "very-long/" * 300
            copy["cases/reason"][1] = b"\xff\xfe broken \xc0\xbcscript>"
            copy["cases/psnr_db"][0] = float("-inf")
        text, page = self.report(run)
        self.assertIn("<script>document.title='owned'</script>", page.text())
        self.assertNotIn("\x1b", text)
        if support_chromium.PROGRAM:
            browser = support_chromium.Chromium()
            self.addCleanup(browser.close)
            browser.show(self.path("page/index.html"), 400)
            self.assertLessEqual(browser.evaluate("document.documentElement.scrollWidth"), 400)
            self.assertNotEqual(browser.evaluate("document.title"), "owned")
            self.assertEqual(browser.complaints(), [])
            self.assertEqual([url for url in browser.requests() if not url.startswith(("file:", "data:"))], [])

    @unittest.skipUnless(h5py, "h5py is not installed")
    def test_a_run_without_cases(self):
        run = self.path("empty.h5")
        with h5py.File(self.mixed.path) as source, h5py.File(run, "w") as copy:
            for name, value in source.attrs.items():
                copy.attrs[name] = value
            for table in source:
                for name, column in source[table].items():
                    if isinstance(column, h5py.Dataset):
                        copy.create_dataset(f"{table}/{name}", shape=(0,), maxshape=(None,), dtype=column.dtype)
        _, page = self.report(run, code=0)
        self.assertIn("holds no cases", page.text())
        self.assertNotIn("nan", page.text().lower().split())

    def test_without_gnuplot_there_is_a_page_that_says_so(self):
        _, page = self.report(self.mixed.path)
        self.assertIn("There are no plots: gnuplot is not installed", page.text())


@unittest.skipUnless(FAULTY, "the plug-in with planted faults is not built")
@unittest.skipUnless(support_chromium.PROGRAM, support_chromium.MISSING)
class Rendered(unittest.TestCase):
    """The same page, as a browser shows it."""

    LUMINANCE = """(selector => {
        const part = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        const luminance = text => { const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(part);
                                    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const ground = e => { const c = getComputedStyle(e).backgroundColor;
                              return /, 0\\)$/.test(c) ? (e.parentElement ? ground(e.parentElement) : 'rgb(255, 255, 255)') : c; };
        return [...document.querySelectorAll(selector)].map(e => {
            const a = luminance(getComputedStyle(e).color), b = luminance(ground(e));
            return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 30)];
        });
    })('p, td, th, li, dt, dd, a, code, figcaption, summary, h1, h2, h3, .badge')"""

    @classmethod
    def setUpClass(cls):
        cls.browser = support_chromium.Chromium()
        cls.addClassCleanup(cls.browser.close)
        cls.page = MIXED[0].page

    def test_no_width_scrolls_the_page_and_nothing_leaves_it(self):
        for width in (400, 900, 1600):
            for scheme in ("light", "dark"):
                with self.subTest(width=width, scheme=scheme):
                    self.browser.show(self.page, width, scheme=scheme)
                    self.browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                    wide = self.browser.evaluate(
                        "[document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]")
                    self.assertLessEqual(max(wide[:2]), width, wide)
                    self.assertEqual(wide[2], width)
                    self.assertEqual([url for url in self.browser.requests() if not url.startswith(("file://" + self.page, "data:"))], [])
                    self.assertEqual(self.browser.complaints(), [])

    def test_pictures_and_plots_can_be_drawn(self):
        self.browser.show(self.page, 900)
        broken = self.browser.evaluate("""Promise.all([...document.images].map(image => {
            image.loading = 'eager'; return image.decode().then(() => null, () => image.alt); })).then(a => a.filter(x => x))""")
        self.assertEqual(broken, [])
        self.assertGreater(self.browser.evaluate("document.images.length"), 3)

    def test_colours_follow_the_scheme_and_can_be_read(self):
        grounds = {}
        for scheme in ("light", "dark"):
            self.browser.show(self.page, 1600, scheme=scheme)
            self.browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            grounds[scheme] = self.browser.evaluate("getComputedStyle(document.body).backgroundColor")
            faint = [item for item in self.browser.evaluate(self.LUMINANCE) if not item[0] >= 4.5]
            self.assertEqual(faint, [], scheme)
        light, dark = (sum(map(int, re.findall(r"\d+", grounds[scheme])[:3])) for scheme in ("light", "dark"))
        self.assertGreater(light, 600)
        self.assertLess(dark, 150)

    def test_an_address_leads_to_the_case(self):
        self.browser.show(self.page + "#" + CRASHED, 900)
        target = self.browser.evaluate("document.querySelector(':target').textContent")
        self.assertIn("killed by signal", target)

    def test_paper_is_light_and_shows_what_is_folded(self):
        self.browser.show(self.page, 703, scheme="dark")
        self.assertFalse(self.browser.evaluate("document.querySelector('.groups dd').checkVisibility()"))
        self.browser.call("Emulation.setEmulatedMedia", media="print")
        self.addCleanup(self.browser.call, "Emulation.setEmulatedMedia", media="")
        self.assertEqual(self.browser.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
        self.assertTrue(self.browser.evaluate("document.querySelector('.groups dd').checkVisibility()"))
        self.assertEqual(self.browser.evaluate("getComputedStyle(document.querySelector('thead')).display"), "table-header-group")
        clipped = self.browser.evaluate("[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > 703).map(e => e.getAttribute('aria-label'))")
        self.assertEqual(clipped, [], "tables that paper would cut off")


if __name__ == "__main__":
    unittest.main()
