"""What shipped recipes are held against, by the name of a figure: at least, at most."""

MINIMA: dict[str, dict[str, float]] = {
    "quickstart": {
        "retention": 0.97,
        "p50_ratio_pytorch": 8,
        "p50_ratio_onnxruntime": 4,
        "size_ratio": 5,
        "int8_agreement": 0.98,
    },
    "sentiment_base": {
        "retention": 0.97,
        "p50_ratio_pytorch": 30,
        "p50_ratio_onnxruntime": 15,
        "int8_agreement": 0.98,
    },
    "sentiment_reviews": {
        "retention": 0.97,
        "p50_ratio_pytorch": 30,
        "p50_ratio_onnxruntime": 15,
        "int8_agreement": 0.98,
    },
    "sentiment_extreme": {"retention": 0.92, "p50_ratio_pytorch": 100},
    "sentiment_bilstm": {},
}
# The time and memory of the whole command are known of watched runs only.
MAXIMA: dict[str, dict[str, float]] = {
    "quickstart": {
        "teacher_max_abs_logit_difference": 1e-4,
        "wall_s": 15 * 60,
        "command_s": 15 * 60,
        "peak_bytes": 6 * 2**30,
    },
    "sentiment_base": {"teacher_max_abs_logit_difference": 1e-4},
    "sentiment_reviews": {"teacher_max_abs_logit_difference": 1e-4},
    "sentiment_extreme": {"bundle_bytes": 6e6},
    "sentiment_bilstm": {},
}
