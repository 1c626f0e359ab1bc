// What the page uses of nipplejs.
export { create } from "nipplejs";
