"""What leaves the review as files: the reports with their manifest, JUnit XML and the JSON of a run."""
