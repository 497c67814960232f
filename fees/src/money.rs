//! Amounts: exact rationals while a fee is computed, whole minor units once it is rounded.
//!
//! Nothing here is a float, and nothing here depends on a locale.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul, Neg, Sub};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};
use tieup_protocol::contract::{Currency, Rounding};
use tieup_protocol::decimal::{Decimal, Percent};

/// An exact number of any size: an amount in major units, a count, a price or a share.
///
/// It is written as a decimal where it has a finite one (`0.25`), else as a fraction in lowest terms (`2/3`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(BigRational);

/// A whole number of a currency's minor units: 1,234 of `JPY` is 1234 yen, of `EUR` 12.34 euro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    currency: Currency,
    minor: i128,
}

impl Exact {
    /// Nothing.
    pub fn zero() -> Self {
        Self(BigRational::zero())
    }

    /// One.
    pub fn one() -> Self {
        Self(BigRational::one())
    }

    /// `numerator / denominator`, or `None` where the denominator is 0.
    pub fn ratio(numerator: u128, denominator: u128) -> Option<Self> {
        (denominator != 0).then(|| Self(BigRational::new(numerator.into(), denominator.into())))
    }

    /// The number divided by `divisor`, or `None` where that is 0.
    pub fn over(self, divisor: &Self) -> Option<Self> {
        (!divisor.is_zero()).then(|| Self(self.0 / &divisor.0))
    }

    /// The least whole number that is not below the number.
    #[must_use]
    pub fn ceil(&self) -> Self {
        Self(self.0.ceil())
    }

    /// The number as `numerator/denominator` in lowest terms, for programs.
    pub fn fraction(&self) -> String {
        format!("{}/{}", self.0.numer(), self.0.denom())
    }

    /// Whether the number is whole.
    pub fn is_whole(&self) -> bool {
        self.0.is_integer()
    }

    /// Whether the number is 0.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Whether the number is below 0.
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// The amount in `currency`, in whole minor units; `None` beyond what [`Money`] holds (about 1.7e38 minor units).
    pub fn round(&self, currency: Currency, rounding: Rounding) -> Option<Money> {
        let minor = &self.0 * BigRational::from_integer(power_of_ten(currency.exponent()));
        let whole = match rounding {
            Rounding::HalfUp => minor.round(),
            Rounding::HalfEven => half_even(&minor),
            Rounding::Down => minor.trunc(),
            Rounding::Up => minor.abs().ceil() * minor.signum(),
        };
        whole.to_integer().to_i128().map(|minor| Money { currency, minor })
    }
}

/// Halves go to the even neighbour, everything else to the nearest whole number.
fn half_even(number: &BigRational) -> BigRational {
    let two = BigInt::from(2);
    let is_half = *number.denom() == two;
    let away = number.round();
    let odd = !(away.numer() % &two).is_zero();
    if is_half && odd { away - number.signum() } else { away }
}

fn power_of_ten(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

impl Money {
    /// `minor` minor units of `currency`.
    pub const fn new(currency: Currency, minor: i128) -> Self {
        Self { currency, minor }
    }

    /// `amount` in major units of `currency`; none where it is finer than the minor unit.
    pub fn of_major(currency: Currency, amount: Decimal) -> Option<Self> {
        let (units, scale) = amount.parts();
        let (units, exponent) = (i128::from(units), currency.exponent());
        if let Some(more) = exponent.checked_sub(scale) {
            return Some(Self { currency, minor: units * 10_i128.pow(more) });
        }
        let finer = 10_i128.pow(scale - exponent);
        (units % finer == 0).then(|| Self { currency, minor: units / finer })
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The number of minor units.
    pub const fn minor(self) -> i128 {
        self.minor
    }

    /// The number alone, in major units with as many decimals as the currency has: `12.34`.
    pub fn digits(self) -> String {
        let decimals = self.currency.exponent() as usize;
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// The amount that `text` says, which is written as [`Money`] is; none where it is in another currency than `currency`.
    pub fn read(text: &str, currency: Currency) -> Option<Self> {
        let digits = text.strip_suffix(currency.code())?.strip_suffix(' ')?;
        let minor = digits.replacen('.', "", 1).parse().ok()?;
        let money = Self { currency, minor };
        (money.to_string() == text).then_some(money)
    }

    /// The amount in major units.
    pub fn exact(self) -> Exact {
        Exact(BigRational::new(self.minor.into(), power_of_ten(self.currency.exponent())))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.digits(), self.currency.code())
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(decimals) = finite_decimals(self.0.denom()) else {
            return write!(f, "{}/{}", self.0.numer(), self.0.denom());
        };
        let scaled = (&self.0 * BigRational::from_integer(power_of_ten(decimals))).to_integer();
        let decimals = decimals as usize;
        let sign = if scaled.is_negative() { "-" } else { "" };
        let digits = format!("{:0>width$}", scaled.magnitude().to_string(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        if fraction.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

/// How many decimals a fraction in lowest terms over `denominator` has, where they end.
fn finite_decimals(denominator: &BigInt) -> Option<u32> {
    let mut rest = denominator.clone();
    let twos = take_out(&mut rest, 2);
    let fives = take_out(&mut rest, 5);
    rest.is_one().then_some(twos.max(fives))
}

/// Divides `number` by `factor` as often as that leaves no remainder.
fn take_out(number: &mut BigInt, factor: u32) -> u32 {
    let mut times = 0;
    while (&*number % factor).is_zero() {
        *number /= factor;
        times += 1;
    }
    times
}

impl From<u128> for Exact {
    fn from(whole: u128) -> Self {
        Self(BigRational::from_integer(whole.into()))
    }
}

impl From<Decimal> for Exact {
    fn from(decimal: Decimal) -> Self {
        let (units, scale) = decimal.parts();
        Self(BigRational::new(units.into(), power_of_ten(scale)))
    }
}

/// `5%` becomes 0.05.
impl From<Percent> for Exact {
    fn from(percent: Percent) -> Self {
        let (units, scale) = percent.hundredths().parts();
        Self(BigRational::new(units.into(), power_of_ten(scale + 2)))
    }
}

impl Add<&Exact> for Exact {
    type Output = Self;

    fn add(self, other: &Self) -> Self {
        Self(self.0 + &other.0)
    }
}

impl Sub<&Exact> for Exact {
    type Output = Self;

    fn sub(self, other: &Self) -> Self {
        Self(self.0 - &other.0)
    }
}

impl Mul<&Exact> for Exact {
    type Output = Self;

    fn mul(self, other: &Self) -> Self {
        Self(self.0 * &other.0)
    }
}

impl Neg for Exact {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl<'a> Sum<&'a Exact> for Exact {
    fn sum<I: Iterator<Item = &'a Self>>(numbers: I) -> Self {
        numbers.fold(Self::zero(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tieup_protocol::contract::Currency::{Eur, Jpy};
    use tieup_protocol::contract::Rounding::{Down, HalfEven, HalfUp, Up};

    use super::*;

    fn exact(text: &str) -> Exact {
        Exact::from(text.parse::<Decimal>().unwrap())
    }

    #[test]
    fn halves_are_rounded_as_the_contract_says() {
        // (amount in yen, half up, half even, down, up)
        let table = [
            ("0.5", 1, 0, 0, 1),
            ("1.5", 2, 2, 1, 2),
            ("2.5", 3, 2, 2, 3),
            ("2.500001", 3, 3, 2, 3),
            ("2.499999", 2, 2, 2, 3),
            ("0", 0, 0, 0, 0),
            ("-0.5", -1, 0, 0, -1),
            ("-1.5", -2, -2, -1, -2),
            ("-2.5", -3, -2, -2, -3),
            ("-2.6", -3, -3, -2, -3),
            ("7", 7, 7, 7, 7),
        ];
        for (amount, half_up, even, down, up) in table {
            let rounded = [HalfUp, HalfEven, Down, Up].map(|mode| exact(amount).round(Jpy, mode).unwrap().minor());
            assert_eq!(rounded, [half_up, even, down, up], "{amount}");
        }
    }

    #[test]
    fn rounding_goes_to_the_currencys_minor_unit() {
        // 12.345 euro are 1,234.5 cents; 12.345 yen are 12.345 of the smallest unit.
        assert_eq!(exact("12.345").round(Eur, HalfUp), Some(Money::new(Eur, 1_235)));
        assert_eq!(exact("12.345").round(Eur, HalfEven), Some(Money::new(Eur, 1_234)));
        assert_eq!(exact("12.345").round(Jpy, HalfUp), Some(Money::new(Jpy, 12)));
    }

    #[test]
    fn money_is_written_with_the_currencys_decimals() {
        for (money, text) in [
            (Money::new(Jpy, 1_234_567), "1234567 JPY"),
            (Money::new(Jpy, 0), "0 JPY"),
            (Money::new(Eur, 5), "0.05 EUR"),
            (Money::new(Eur, -5), "-0.05 EUR"),
            (Money::new(Eur, 123_456), "1234.56 EUR"),
            (Money::new(Jpy, i128::MIN), "-170141183460469231731687303715884105728 JPY"),
        ] {
            assert_eq!(money.to_string(), text);
            assert_eq!(Money::read(text, money.currency()), Some(money));
        }
        for other in ["5 EUR", "0.5 EUR", "0.05", "+0.05 EUR", "0.05 JPY", "00.05 EUR", "x EUR"] {
            assert_eq!(Money::read(other, Eur), None, "{other}");
        }
    }

    #[test]
    fn exact_numbers_are_decimals_where_those_end() {
        for (numerator, denominator, text) in
            [(1, 4, "0.25"), (2, 3, "2/3"), (4, 6, "2/3"), (7, 1, "7"), (1, 1_000, "0.001"), (1, 6, "1/6"), (0, 5, "0")]
        {
            assert_eq!(Exact::ratio(numerator, denominator).unwrap().to_string(), text);
        }
        assert_eq!((-Exact::ratio(1, 8).unwrap()).to_string(), "-0.125");
        assert_eq!((-Exact::ratio(1, 3).unwrap()).to_string(), "-1/3");
        assert_eq!(Exact::ratio(1, 0), None);
        assert_eq!(Exact::from("3.5%".parse::<Percent>().unwrap()).to_string(), "0.035");
    }

    #[test]
    fn what_money_cannot_hold_is_said() {
        let huge = Exact::from(u128::MAX);
        assert_eq!(huge.round(Jpy, HalfUp), None);
        assert!(Exact::from(u128::MAX / 2).round(Jpy, HalfUp).is_some());
    }

    proptest! {
        #[test]
        fn rounding_is_never_further_than_it_may_be(numerator: i64, denominator in 1..100_000_i64) {
            let amount = Exact(BigRational::new(numerator.into(), denominator.into()));
            for (mode, furthest) in [(HalfUp, "0.005"), (HalfEven, "0.005"), (Down, "0.01"), (Up, "0.01")] {
                let rounded = amount.round(Eur, mode).unwrap().exact();
                let error = (rounded - &amount).0.abs();
                prop_assert!(error <= exact(furthest).0);
            }
        }

        #[test]
        fn exact_text_keeps_every_digit(units in -1_000_000_000_i64..1_000_000_000, scale in 0..9_u32) {
            let number = Exact(BigRational::new(units.into(), power_of_ten(scale)));
            let text = number.to_string();
            prop_assert_eq!(exact(&text), number);
        }
    }
}
