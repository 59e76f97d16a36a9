// Decimal fractions as serde_json reads them.
#pragma once

namespace pocketbert::decimal {

// Hugging Face's tokenizers reads scores with serde_json, which takes the digits for one double and
// then multiplies or divides by a power of ten: the result may be the neighbour of what was
// written, and decide which of two ways to cut a word scores higher. `value` is what was written,
// in as few digits as tell it from its neighbours.
double as_serde_reads(double value);

}  // namespace pocketbert::decimal
