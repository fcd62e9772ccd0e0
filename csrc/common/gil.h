// Letting go of Python's lock, and taking it again for a while; for the two bindings.cpp only.
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

// With the GIL as long as it lives, in a thread of Python that is without it; sleeps as above.
class WithGil {
 public:
  WithGil() {
    try {
      state_ = PyGILState_Ensure();
    } catch (...) {
      for (;;) pause();
    }
  }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;
  ~WithGil() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

}  // namespace fastsr
