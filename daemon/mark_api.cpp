// The part of ControlApi that takes marks and lists them.
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/control_answers.hpp"
#include "daemon/control_api.hpp"
#include "daemon/grafana_settings.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

constexpr std::size_t tags_max = 10;

json to_json(const Mark& mark) {
  const std::chrono::duration<double> since_epoch =
      std::chrono::round<std::chrono::milliseconds>(mark.time.time_since_epoch());
  return {{"id", mark.id},
          {"time", since_epoch.count()},
          {"vm", mark.vm.empty() ? json() : json(mark.vm)},
          {"text", mark.text},
          {"tags", mark.tags},
          {"user", mark.asker.user},
          {"uid", mark.asker.uid ? json(*mark.asker.uid) : json()}};
}

Result<Mark> parse_mark(const HttpRequest& request) {
  const auto body = parse_body(request);
  if (body.is_discarded()) return Error{"the body is no JSON object"};
  Mark mark;
  const auto text = body.find("text");
  if (text == body.end() || !text->is_string()) return Error{"\"text\" must be a text"};
  mark.text = text->get<std::string>();
  const auto checked = check_mark_text(mark.text);
  if (!checked) return checked.error();
  auto vm = parse_vm(body);
  if (!vm) return vm.error();
  mark.vm = std::move(*vm);
  if (const auto tags = body.find("tags"); tags != body.end()) {
    if (!tags->is_array() || tags->size() > tags_max)
      return Error{"\"tags\" must be an array of at most " + std::to_string(tags_max) + " texts"};
    for (const auto& tag : *tags) {
      if (!tag.is_string() || !is_annotation_tag(tag.get_ref<const std::string&>()))
        return Error{"a tag must be 1 to 64 bytes of UTF-8 on one line"};
      mark.tags.push_back(tag.get<std::string>());
    }
  }
  mark.asker = asker_of(request);
  return mark;
}

}  // namespace

HttpResponse ControlApi::add_mark(const HttpRequest& request) {
  auto parsed = parse_mark(request);
  if (!parsed) return refuse(400, parsed.error().detail);
  if (!parsed->vm.empty()) {
    const auto vm = fleet_.find(parsed->vm);
    if (!vm) return no_such_vm(parsed->vm);
    vm->marked();
  }
  parsed->time = std::chrono::system_clock::now();
  const auto& mark = marks_.add(std::move(*parsed));
  spdlog::info("{}mark={} text=\"{}\" by={}", mark.vm.empty() ? "" : mark.vm + ": ", mark.id,
               mark.text, to_string(mark.asker));
  Annotation annotation;
  annotation.begin = mark.time;
  annotation.vm = mark.vm;
  annotation.kind = "mark";
  annotation.text = mark.text;
  annotation.tags = mark.tags;
  annotate(std::move(annotation));
  return answer(to_json(mark));
}

HttpResponse ControlApi::list_marks(const HttpRequest& request) const {
  const auto* only = request.parameter("vm");
  if (only != nullptr && !fleet_.find(*only)) return no_such_vm(*only);
  auto list = json::array();
  for (const auto& mark : marks_.all())
    if (only == nullptr || mark.vm == *only) list.push_back(to_json(mark));
  json body;
  body["marks"] = std::move(list);
  return answer(body);
}

}  // namespace qemon::daemon
