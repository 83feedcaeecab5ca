"""A fingerprint follows the content and the settings, not names or places."""

from loomlab.text.identity import files_digest


def test_digest_follows_content_order_and_settings(tmp_path):
    a, b, copy = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for path, text in ((a, "one"), (b, "two"), (copy, "one")):
        path.write_text(text)
    assert files_digest([a, b], 1) == files_digest([copy, b], 1)
    assert len({files_digest([a, b], 1), files_digest([b, a], 1), files_digest([a, b], 2)}) == 3
    before = files_digest([a], 1)
    a.write_text("onE")
    assert files_digest([a], 1) != before
