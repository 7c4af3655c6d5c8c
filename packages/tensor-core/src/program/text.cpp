// The text of a program. Note [Programs]
#include <charconv>
#include <cmath>
#include <set>
#include <unordered_map>

#include "program/body.h"

namespace flambeau::program {

namespace {

using Body = Program::Body;
using Argument = Body::Argument;

class Reader {
 public:
  explicit Reader(std::string_view text) { body_.text = text; }

  Body read() {
    std::string_view rest = body_.text;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      ++line_;
      left_ = rest.substr(0, end);
      read_line();
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (!returned_) fail("the program must end with a line that begins with 'return'");
    return std::move(body_);
  }

 private:
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    detail::raise<ValueError>("line ", line_, " of the program: ", parts...);
  }

  // --- characters ---

  void skip() {
    while (!left_.empty() && left_.front() == ' ') left_.remove_prefix(1);
  }
  bool take(char c) {
    skip();
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail("expected '", std::string(1, c), "' at '", left_.substr(0, 20), "'");
  }
  // Reads up to a character that no name or number contains.
  std::string_view word() {
    skip();
    const size_t end = std::min(left_.find_first_of(" ,()[]='#"), left_.size());
    const std::string_view out = left_.substr(0, end);
    left_.remove_prefix(end);
    return out;
  }
  // Reads a string after its opening quote.
  std::string quoted() {
    std::string out;
    while (!left_.empty() && left_.front() != '\'') {
      char c = left_.front();
      left_.remove_prefix(1);
      if (c == '\\' && !left_.empty()) {
        c = left_.front() == 'n' ? '\n' : left_.front();
        left_.remove_prefix(1);
      }
      out += c;
    }
    expect('\'');
    return out;
  }
  bool at_end() {
    skip();
    return left_.empty() || left_.front() == '#';
  }

  // --- values ---

  int number_of(std::string_view digits) {
    int out = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (error != std::errc() || end != digits.data() + digits.size() || out < 0 || out >= kRegisterLimit)
      fail("%", digits, " is not a valid value");
    return out;
  }
  // Reads a register that has been computed.
  int read_register() {
    const int n = number_of(word().substr(1));
    if (!defined_.contains(n)) fail("%", n, " is used before anything is assigned to it");
    return n;
  }
  void assign(int n) {
    if (!defined_.insert(n).second) fail("%", n, " is assigned twice");
    body_.registers = std::max(body_.registers, n + 1);
  }
  int state(std::string name) {
    const auto [found, fresh] = state_.emplace(std::move(name), int(body_.state.size()));
    if (fresh) body_.state.push_back(found->first);
    return found->second;
  }

  template <class T>
  bool read_number(std::string_view text, Value& out) {
    T number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    out = number;
    return true;
  }

  Value constant(std::string_view text) {
    Value out;
    if (text == "None") return None();
    if (text == "True" || text == "False") return text == "True";
    if (read_number<int64_t>(text, out) || read_number<double>(text, out)) return out;
    for (int d = 0; d < kDtypeCount; ++d)
      if (text == name(Dtype(d))) return Dtype(d);
    constexpr std::string_view formats[] = {"contiguous_format", "preserve_format", "channels_last",
                                            "channels_last_3d"};
    for (int f = 0; f < 4; ++f)
      if (text == formats[f]) return MemoryFormat(f);
    const size_t colon = text.find(':');
    for (const DeviceType type : {DeviceType::Cpu, DeviceType::Cuda, DeviceType::Meta})
      if (text.substr(0, colon) == name(type))
        return Device(type, colon == text.npos ? 0 : number_of(text.substr(colon + 1)) & 127);
    fail("'", text, "' is not a valid value");
  }

  // Reads a list after its opening bracket.
  Argument list() {
    Argument out{Argument::List};
    bool computed = false;
    if (++depth_ > kDeepest) fail("lists are nested too deeply");
    while (!take(']')) {
      if (!out.items.empty()) expect(',');
      out.items.push_back(argument());
      computed |= out.items.back().kind != Argument::Constant;
    }
    --depth_;
    if (computed) return out;
    Values values;
    for (Argument& item : out.items) values.push_back(std::move(item.value));
    return {Argument::Constant, 0, std::move(values)};
  }

  Argument argument() {
    skip();
    if (take('[')) return list();
    if (take('\'')) return {Argument::Constant, 0, quoted()};
    if (left_.starts_with("@'")) {
      left_.remove_prefix(2);
      return {Argument::State, state(quoted())};
    }
    if (left_.starts_with('@')) return {Argument::State, state(std::string(word().substr(1)))};
    if (left_.starts_with('%')) return {Argument::Register, read_register()};
    if (left_.starts_with("complex(")) {
      left_.remove_prefix(8);
      const Value re = constant(word());
      expect(',');
      const Value im = constant(word());
      expect(')');
      return {Argument::Constant, 0, Complex<double>{As<double>::get(re), As<double>::get(im)}};
    }
    return {Argument::Constant, 0, constant(word())};
  }

  // --- lines ---

  void read_line() {
    if (at_end()) return;
    if (returned_) fail("no line may follow 'return'");
    if (left_.starts_with("input ")) return read_input();
    if (left_ == "return" || left_.starts_with("return ")) return read_return();
    Body::Instruction instruction;
    std::vector<int> results;
    while (left_.starts_with('%')) {
      results.push_back(number_of(word().substr(1)));
      if (!take(',')) expect('=');
      skip();
    }
    const std::string_view called = word();
    instruction.function = find(called);
    if (!instruction.function)
      fail("there is no operator '", called, "' for programs",
           called.find("::") == called.npos ? ""
                                            : ": import the package that defines it first; in C++, call "
                                              "Program::register_operator");
    expect('(');
    while (!take(')')) {
      if (!instruction.arguments.empty()) expect(',');
      instruction.arguments.push_back(argument());
      instruction.makes_lists |= instruction.arguments.back().kind == Argument::List;
    }
    if (int(instruction.arguments.size()) != instruction.function->arity)
      fail(called, " has ", instruction.function->arity, " parameters, but got ", instruction.arguments.size());
    for (const int n : results) assign(n);
    instruction.results = std::move(results);
    skip();
    if (take('#')) {
      skip();
      instruction.location = left_;
    } else if (!left_.empty()) {
      fail("'", left_, "' after the call");
    }
    instruction.number = int(body_.instructions.size());
    body_.instructions.push_back(std::move(instruction));
  }

  void read_input() {
    if (!body_.instructions.empty()) fail("the inputs must precede all other lines");
    left_.remove_prefix(6);
    skip();
    if (!left_.starts_with('%')) fail("'input' must be followed by a value such as %0");
    body_.input_registers.push_back(number_of(word().substr(1)));
    assign(body_.input_registers.back());
    skip();
    body_.inputs.emplace_back(left_);
  }

  void read_return() {
    left_.remove_prefix(6);
    while (!at_end()) {
      if (!body_.outputs.empty()) expect(',');
      body_.outputs.push_back(argument());
    }
    returned_ = true;
  }

  static constexpr int kRegisterLimit = 1 << 24, kDeepest = 16;
  Body body_;
  std::string_view left_;  // rest of the line
  std::set<int> defined_;
  std::unordered_map<std::string, int> state_;
  int line_ = 0, depth_ = 0;
  bool returned_ = false;
};

}  // namespace

Body read_text(std::string_view text) { return Reader(text).read(); }

}  // namespace flambeau::program
