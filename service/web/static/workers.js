import { refresh } from "./refresh.js";

refresh(2000);
