"""Annotation with critical thinking: a model labels, another doubts, people review what is doubtful."""
