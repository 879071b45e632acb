import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { remember, remembered } from "../ui/remember";
import { en, type Key } from "./en";
import { zh } from "./zh";

export type Language = "en" | "zh";
export type { Key };

const dictionaries: Record<Language, Record<Key, string>> = { en, zh };

export type Translate = (key: Key, values?: Record<string, string | number>) => string;

interface I18n {
  language: Language;
  setLanguage(language: Language): void;
  t: Translate;
}

const Context = createContext<I18n | null>(null);

function preferred(): Language {
  const chosen = remembered("language");
  if (chosen === "en" || chosen === "zh") return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function I18nProvider({ children }: { children: ReactNode }) {
  const [language, set] = useState<Language>(preferred);
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  }, [language]);
  const setLanguage = useCallback((next: Language) => {
    remember("language", next);
    set(next);
  }, []);
  const value = useMemo<I18n>(() => {
    const dictionary = dictionaries[language];
    return {
      language,
      setLanguage,
      t: (key, values) => dictionary[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values?.[name] ?? whole)),
    };
  }, [language, setLanguage]);
  return <Context value={value}>{children}</Context>;
}

export function useI18n(): I18n {
  const context = useContext(Context);
  if (!context) throw new Error("no I18nProvider above");
  return context;
}

export const useT = (): Translate => useI18n().t;
