// What a model withstands, for a reader who knows no machine learning.

const hundredth = (share) => Math.round(100 * share.value);

function change({ norm, epsilon, epsilon_text: text }) {
  if ((norm === undefined || norm === "linf") && epsilon !== undefined) {
    const steps = Number((255 * epsilon).toPrecision(3));
    return `after every point was made brighter or darker by at most ${steps} of 255 steps`;
  }
  return `after a small change of the whole picture${text ? ` (size ${text})` : ""}`;
}

export function plainLine(evaluation) {
  const clean = evaluation?.clean_accuracy;
  const robust = evaluation?.worst_case_accuracy;
  if (!clean || !robust) {
    return "Nobody has measured how this model does under attack: expect that it is easily fooled.";
  }
  const attacker = evaluation.is_autoattack
    ? "an attacker who knows the model (AutoAttack)"
    : "the attacks that were tried (a stronger one may do worse)";
  return (
    `Of 100 pictures like those it was tested on, it names ${hundredth(clean)} rightly, and ` +
    `${hundredth(robust)} ${change(evaluation.threat_model ?? {})} by ${attacker}.`
  );
}
