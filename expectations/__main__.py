"""``python -m expectations``: write the feature suite from the catalog."""

from expectations.suites import write_features

if __name__ == "__main__":
    print(f"wrote {write_features()}")
