from tests.made_up_facts import closed, made_up_facts

__all__ = ["closed", "made_up_facts"]
