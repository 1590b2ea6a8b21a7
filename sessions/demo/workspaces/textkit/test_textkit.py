import unittest

import textkit


class TextkitTest(unittest.TestCase):
    def test_count_words(self):
        self.assertEqual(textkit.count_words("one  two\nthree"), 3)

    def test_longest_line(self):
        self.assertEqual(textkit.longest_line("a\nlonger\nb"), "longer")

    def test_title_case(self):
        self.assertEqual(textkit.title_case("ada McCabe"), "Ada McCabe")

    def test_wrap(self):
        self.assertEqual(textkit.wrap("some words here", 10), ["some words", "here"])


if __name__ == "__main__":
    unittest.main()
