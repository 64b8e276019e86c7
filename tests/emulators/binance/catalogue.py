"""What is traded on the emulated Binance, as exchangeInfo tells it. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.emulators.crypto.instruments import Instrument, perp, spot

D = Decimal
SPOTS = (("BTC", "USDT"), ("ETH", "USDT"), ("SOL", "USDT"), ("DOGE", "USDT"), ("BTC", "USDC"), ("ETH", "USDC"))
PERPS = (("BTC", "USDT"), ("ETH", "USDT"), ("SOL", "USDT"), ("DOGE", "USDT"))
SPOT_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"]
FUTURES_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
FOREVER = 4133404800000
BEGAN = 1569398400000


def instruments() -> list[Instrument]:
    """Spot pairs, and USD-M perpetuals under the same symbols."""
    spots = [spot(base, quote, base + quote) for base, quote in SPOTS]
    return spots + [perp(base, quote, base + quote) for base, quote in PERPS]


def places(unit: Decimal) -> int:
    """Decimal places of a unit."""
    return max(0, -int(unit.normalize().as_tuple().exponent))


def plain(value: Decimal) -> str:
    """As short as it can be written."""
    return f"{value.normalize():f}"


def eight(value: Decimal) -> str:
    """Eight decimal places, as spot writes everything."""
    return f"{value:.8f}"


def exchange_info(spots: list[Instrument], now: int) -> dict[str, Any]:
    """GET /api/v3/exchangeInfo."""
    return {
        "timezone": "UTC",
        "serverTime": now,
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
        ],
        "exchangeFilters": [],
        "symbols": [spot_symbol(each) for each in spots],
    }


def spot_symbol(each: Instrument) -> dict[str, Any]:
    """One pair."""
    lots = {"minQty": eight(each.least), "maxQty": eight(each.most), "stepSize": eight(each.step)}
    return {
        "symbol": each.symbol,
        "status": "TRADING",
        "baseAsset": each.base,
        "baseAssetPrecision": 8,
        "quoteAsset": each.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": SPOT_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": eight(each.tick),
                "maxPrice": "1000000.00000000",
                "tickSize": eight(each.tick),
            },
            {"filterType": "LOT_SIZE"} | lots,
            {"filterType": "MARKET_LOT_SIZE"} | lots | {"minQty": eight(D(0)), "stepSize": eight(D(0))},
            {
                "filterType": "NOTIONAL",
                "minNotional": eight(each.value),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def futures_info(perps: list[Instrument], now: int) -> dict[str, Any]:
    """GET /fapi/v1/exchangeInfo."""
    assets = sorted({each.quote for each in perps})
    return {
        "timezone": "UTC",
        "serverTime": now,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        ],
        "exchangeFilters": [],
        "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in assets],
        "symbols": [futures_symbol(each) for each in perps],
    }


def futures_symbol(each: Instrument) -> dict[str, Any]:
    """One perpetual."""
    lots = {"minQty": plain(each.least), "maxQty": plain(each.most), "stepSize": plain(each.step)}
    return {
        "symbol": each.symbol,
        "pair": each.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": FOREVER,
        "onboardDate": BEGAN,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": each.base,
        "quoteAsset": each.quote,
        "marginAsset": each.quote,
        "pricePrecision": places(each.tick),
        "quantityPrecision": places(each.step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": plain(each.tick),
                "maxPrice": "4529764",
                "tickSize": plain(each.tick),
            },
            {"filterType": "LOT_SIZE"} | lots,
            {"filterType": "MARKET_LOT_SIZE"} | lots,
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": plain(each.value)},
        ],
        "orderTypes": FUTURES_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def brackets(each: Instrument) -> dict[str, Any]:
    """GET /fapi/v1/leverageBracket of one perpetual."""
    bracket = {
        "bracket": 1,
        "initialLeverage": each.max_leverage,
        "notionalCap": 50_000_000,
        "notionalFloor": 0,
        "maintMarginRatio": float(each.maintenance),
        "cum": 0.0,
    }
    return {"symbol": each.symbol, "notionalCoef": 1.0, "brackets": [bracket]}
