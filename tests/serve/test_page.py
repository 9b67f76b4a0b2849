# test_page.py - the status page, as a browser without network but the service shows it
#
# SPDX-License-Identifier: BSD-3-Clause
import os
import re
import shutil
import subprocess
import unittest

import tensors
from service import Case, Service

BROWSER = shutil.which("chromium")


def browse(url, folder, *options):
    """The document as it is after its scripts have run for some seconds."""
    return subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                           "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--user-data-dir=" + folder,
                           "--virtual-time-budget=4000", "--window-size=1200,1100", *options, url],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=True).stdout


class Page(Case):
    def test_it_needs_nothing_else(self):
        with Service(1) as s:
            answer = s.ask("GET", "/", Authorization="")
            page = answer.body.decode()
            self.assertIn("text/html", answer.headers["content-type"])
            self.assertEqual(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?[^"')\s]*//[^"')\s]*""", page), [])
            self.assertNotIn(s.token, page)
            self.assertEqual(s.ask("GET", "/v1/status").json["ranks"], 1)
            self.refused(s.ask("GET", "/v1/status", Authorization=""), 401, "Authorization")

    @unittest.skipUnless(BROWSER, "there is no chromium")
    def test_in_a_browser(self):
        with Service(2, "--memory-limit", "1G") as s:
            self.assertEqual(s.ask("GET", "/v1/contexts/c404").status, 404)
            s.create(name="x" * 128, heads=1, dim=2)
            c = s.create(name="<b>bold</b> & \u00e4", heads=4, kv_heads=2, dim=8, tol=0.01)
            k = tensors.gauss(1, 1234, 2, 8)
            s.append(c, k=k, v=k)
            for i in range(5):
                s.attend(c, tensors.gauss(i, 2, 4, 8))
            child = s.ask("POST", f"/v1/contexts/{c}/fork").json["id"]
            folder = os.path.join(s.folder, "browser")
            page = browse(s.url + "/#token=" + s.token, folder, "--dump-dom")
            for text in (c, child, "&lt;b&gt;bold&lt;/b&gt; &amp; \u00e4", "1,234", "4/2", "half within", "<td>queries</td>", "<svg",
                         "limit 954 MiB", "2 ranks", "<td>inspect</td><td>404</td><td>1</td>", "<td>contexts</td><td>256</td><td>3</td>",
                         'class="name">' + "x" * 128):
                self.assertTrue(text in page, f"the page does not say {text}")
            picture = os.environ.get("PRECIS_PAGE_PICTURE")
            if picture:
                browse(s.url + "/#token=" + s.token, folder, "--screenshot=" + picture)
            closed = browse(s.url + "/#token=wrong", folder + "2", "--dump-dom")
            self.assertIn("This is not the token.", closed)
            self.assertNotIn(c, closed)
