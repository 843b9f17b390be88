"""Two parallel branches, and their join.

Both branches become tasks that Airflow runs in parallel; the join waits for both.

Try:  devstack run --airflow branches
"""

from metaflow import FlowSpec, kubernetes, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class BranchesFlow(FlowSpec):
    """Analyses a text in two ways."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Define the text."""
        self.text = "to be or not to be"
        self.next(self.letters, self.words)

    @kubernetes(**SMALL)
    @step
    def letters(self):
        """Count its letters."""
        self.count = sum(letter.isalpha() for letter in self.text)
        self.next(self.join)

    @kubernetes(**SMALL)
    @step
    def words(self):
        """Count its words."""
        self.count = len(self.text.split())
        self.next(self.join)

    @kubernetes(**SMALL)
    @step
    def join(self, inputs):
        """Merge both counts."""
        self.counts = {"letters": inputs.letters.count, "words": inputs.words.count}
        self.merge_artifacts(inputs, exclude=["count"])
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the counts."""
        print(f"{self.text!r} has {self.counts}")


if __name__ == "__main__":
    BranchesFlow()
