#include "trace/decoder.hpp"

namespace qemon::trace {

std::string_view to_string(DecodeError error) {
  switch (error) {
    case DecodeError::bad_header:
      return "bad_header";
    case DecodeError::bad_record:
      return "bad_record";
    case DecodeError::unknown_event:
      return "unknown_event";
    case DecodeError::bad_mapping:
      return "bad_mapping";
    case DecodeError::unknown_line:
      return "unknown_line";
    case DecodeError::overlong_line:
      return "overlong_line";
  }
  return "unknown";
}

}  // namespace qemon::trace
