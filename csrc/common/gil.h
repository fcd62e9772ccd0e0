// Letting go of Python's lock; for the two bindings.cpp only.
#pragma once

#include <Python.h>
#include <unistd.h>

namespace fastsr {

// Without the GIL as long as it lives. While the interpreter shuts down, CPython before 3.14 unwinds a daemon thread
// that asks for the GIL, which must not leave a destructor: such a thread sleeps until the process ends.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
      for (;;) pause();
    }
  }

 private:
  PyThreadState* state_;
};

}  // namespace fastsr
