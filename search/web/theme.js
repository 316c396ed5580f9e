// Read before anything is painted, so that a chosen theme never flashes.
(() => {
  try {
    const theme = localStorage.getItem("tongues-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Without storage the system's theme serves.
  }
})();
