from tests.made_up_samples import make_dataset

__all__ = ["make_dataset"]
